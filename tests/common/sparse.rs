//! An object store whose large files are only lengths: they are read as zeros, and what is written is let go.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt as _, StreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Extensions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

/// As much as arrives at a time.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// The store.
#[derive(Debug, Default)]
pub struct Sparse {
    /// Files that are written by one request.
    pub small: InMemory,
    /// The lengths of the others.
    pub sizes: Arc<Mutex<BTreeMap<Path, u64>>>,
}

impl Sparse {
    fn large(&self, at: &Path) -> Option<ObjectMeta> {
        self.sizes.lock().unwrap().get(at).map(|size| meta(at, *size))
    }
}

fn meta(at: &Path, size: u64) -> ObjectMeta {
    ObjectMeta { location: at.clone(), last_modified: chrono::DateTime::UNIX_EPOCH, size, e_tag: None, version: None }
}

impl fmt::Display for Sparse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lengths of files")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Sparse {
    async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.small.put_opts(at, payload, options).await
    }

    async fn put_multipart_opts(&self, at: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Ok(Box::new(Upload { at: at.clone(), size: 0, sizes: self.sizes.clone() }))
    }

    async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
        let Some(meta) = self.large(at) else { return self.small.get_opts(at, options).await };
        let range = 0..meta.size;
        let zeros = |left: u64| {
            let n = usize::try_from(left).unwrap_or(usize::MAX).min(ZEROS.len());
            (n > 0).then(|| (Ok(Bytes::from_static(&ZEROS[..n])), left - n as u64))
        };
        let content = stream::unfold(meta.size, move |left| async move { zeros(left) });
        let payload = GetResultPayload::Stream(content.boxed());
        Ok(GetResult { payload, meta, range, attributes: Attributes::default(), extensions: Extensions::default() })
    }

    fn delete_stream(&self, all: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.small.delete_stream(all)
    }

    fn list(&self, below: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let sizes = self.sizes.lock().unwrap().clone();
        let below_it = |at: &Path| below.is_none_or(|below| at.prefix_matches(below));
        let large: Vec<_> = sizes.iter().filter(|(at, _)| below_it(at)).map(|(at, size)| Ok(meta(at, *size))).collect();
        self.small.list(below).chain(stream::iter(large)).boxed()
    }

    async fn list_with_delimiter(&self, below: Option<&Path>) -> Result<ListResult> {
        self.small.list_with_delimiter(below).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.small.copy_opts(from, to, options).await
    }
}

/// A file that is being written in parts.
#[derive(Debug)]
struct Upload {
    at: Path,
    size: u64,
    sizes: Arc<Mutex<BTreeMap<Path, u64>>>,
}

#[async_trait::async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.size += data.content_length() as u64;
        async move {
            // On its way for a while, so that others are, too.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            drop(data);
            Ok(())
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.sizes.lock().unwrap().insert(self.at.clone(), self.size);
        Ok(PutResult { e_tag: None, version: None, extensions: Extensions::default() })
    }

    async fn abort(&mut self) -> Result<()> {
        Ok(())
    }
}
