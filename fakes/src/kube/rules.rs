//! The rules (CEL) that a CustomResourceDefinition has for its objects.
//!
//! Types, enums and required fields are not checked: an object here comes from a typed client.

use std::cell::RefCell;
use std::fmt;

use kube::core::cel::{CompiledSchema, Validator, compile_schema};
use serde_json::Value;

/// The rules of a kind, compiled once.
pub(super) struct Rules(CompiledSchema);

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}

thread_local! {
    // Its functions are registered once a thread: it may move between threads, and may not be shared.
    static VALIDATOR: RefCell<Validator> = RefCell::new(Validator::new());
}

impl Rules {
    pub(super) fn new(schema: &Value) -> Self {
        Self(compile_schema(schema))
    }

    /// What an object breaks: the field of each rule and why its value is refused.
    pub(super) fn broken(&self, new: &Value, old: Option<&Value>) -> Vec<(String, String)> {
        let outcome = VALIDATOR.with_borrow(|validator| validator.validate_compiled(&self.0, new, old));
        let errors = outcome.err().map(kube::core::cel::ValidationErrors::into_vec).unwrap_or_default();
        errors
            .into_iter()
            .map(|error| (error.field_path.clone(), why(new, &error.field_path, &error.message)))
            .collect()
    }
}

/// Texts and numbers are shown, whole objects are not.
fn why(object: &Value, field: &str, message: &str) -> String {
    let pointer = format!("/{}", field.replace(['.', '['], "/").replace(']', ""));
    match object.pointer(&pointer) {
        Some(value) if !value.is_object() && !value.is_array() => format!("Invalid value: {value}: {message}"),
        _ => format!("Invalid value: {message}"),
    }
}
