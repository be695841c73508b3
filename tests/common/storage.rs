//! The object store as the operator's process reaches it: every request is a call that a fault may strike.

use std::fmt;
use std::sync::Arc;

use fakes::faults::{Faults, Lost};
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// Objects behind a connection that fails.
#[derive(Debug, Clone)]
pub struct Reached {
    pub objects: Arc<InMemory>,
    pub faults: Faults,
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("objects behind a connection that fails")
    }
}

fn lost(lost: Lost) -> Error {
    Error::Generic { store: "fake", source: Box::new(lost) }
}

impl Reached {
    async fn around<T>(&self, name: String, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.faults.around(&name, call).await.map_err(lost).flatten()
    }
}

#[async_trait::async_trait]
impl ObjectStore for Reached {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.around(format!("store PUT {}", short(at)), self.objects.put_opts(at, payload, options)).await
    }

    async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.objects.put_multipart_opts(at, options).await
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let name = format!("store {} {}", if options.head { "HEAD" } else { "GET" }, short(at));
        self.around(name, self.objects.get_opts(at, options)).await
    }

    fn delete_stream(&self, all: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let this = self.clone();
        let each = all.then(move |at| {
            let this = this.clone();
            async move {
                let at = at?;
                let one = futures::stream::iter([Ok(at.clone())]).boxed();
                let deleted = async { this.objects.delete_stream(one).next().await.unwrap_or(Ok(at.clone())) };
                this.around(format!("store DELETE {}", short(&at)), deleted).await
            }
        });
        each.boxed()
    }

    fn list(&self, below: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (this, below) = (self.clone(), below.cloned());
        let page = async move {
            let listing = async { Ok(this.objects.list(below.as_ref()).collect::<Vec<_>>().await) };
            match this.around("store LIST".to_owned(), listing).await {
                Ok(page) => page,
                Err(e) => vec![Err(e)],
            }
        };
        page.map(futures::stream::iter).flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, below: Option<&Path>) -> Result<ListResult> {
        self.around("store LIST".to_owned(), self.objects.list_with_delimiter(below)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

fn short(at: &Path) -> String {
    let parts: Vec<_> = at.parts().map(|part| part.as_ref().to_owned()).collect();
    parts.last().cloned().unwrap_or_default()
}
