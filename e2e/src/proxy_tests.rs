use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;

/// A server that sends back what it gets.
async fn echo() -> (S3, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let text = |text: &str| text.to_owned();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let s3 = S3 { endpoint, bucket: text("b"), access_key: text("k"), secret_key: text("s") };
    let mut server = JoinSet::new();
    server.spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut from, mut to) = client.into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
        }
    });
    (s3, server)
}

async fn goes_through(stoppable: &Stoppable) -> TcpStream {
    let mut client = TcpStream::connect(stoppable.s3.host()).await.unwrap();
    client.write_all(b"GET").await.unwrap();
    let mut answer = [0; 3];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"GET");
    client
}

#[tokio::test]
async fn one_that_is_stopped_cuts_and_refuses_until_it_is_started_again() {
    let (s3, _server) = echo().await;
    let mut stoppable = Stoppable::start(&s3).await.unwrap();
    assert_ne!(stoppable.s3.endpoint, s3.endpoint);
    for _ in 0..2 {
        let mut client = goes_through(&stoppable).await;
        stoppable.stop().await;
        // The end of the connection, in whichever form.
        assert!(matches!(client.read(&mut [0; 1]).await, Ok(0) | Err(_)));
        assert!(TcpStream::connect(stoppable.s3.host()).await.is_err());
        stoppable.restart().await.unwrap();
    }
    goes_through(&stoppable).await;
}
