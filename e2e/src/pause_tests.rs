use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

use super::*;

fn child() -> (Child, OwnedFd) {
    let child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let descriptor = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
    (child, descriptor)
}

/// The next change of its state, as Linux tells its parent.
fn change(child: &Child) -> WaitStatus {
    let options = WaitOptions::UNTRACED | WaitOptions::CONTINUED;
    waitpid(Some(Pid::from_child(child)), options).unwrap().unwrap().1
}

#[test]
fn it_stands_still_until_it_is_woken() {
    let (mut child, descriptor) = child();
    let paused = Paused::new(descriptor, "cat").unwrap();
    assert!(change(&child).stopped());
    paused.wake().unwrap();
    assert!(change(&child).continued());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn it_wakes_when_the_test_fails() {
    let (mut child, descriptor) = child();
    let failed = || -> Result<()> {
        let _paused = Paused::new(descriptor, "cat")?;
        // To go on before it has stopped would be no change of its state.
        assert!(change(&child).stopped());
        anyhow::bail!("the test fails")
    };
    failed().unwrap_err();
    assert!(change(&child).continued());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn one_that_has_ended_cannot_be_woken() {
    let (mut child, descriptor) = child();
    let paused = Paused::new(descriptor, "cat").unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(paused.wake().unwrap_err().to_string().contains("wake cat"));
}
