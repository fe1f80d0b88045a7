//! The tree as `libunftp` wants it: asynchronous, bounded in time, with FTP's error kinds.

use std::{
    fmt::Debug,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    task::spawn_blocking,
    time::timeout,
};
use unftp_core::{
    auth::DefaultUser,
    storage::{Error, ErrorKind, FEATURE_RESTART, Fileinfo, Metadata, Permissions, Result, StorageBackend},
};

use super::{
    activity::Activity,
    tree::{Incoming, Meta, Tree, TreeError},
};

const BLOCK_BYTES: usize = 256 * 1024;

/// What one conversation sees of the tree.
#[derive(Debug, Clone)]
pub(super) struct Storage {
    pub(super) tree: Arc<Tree>,
    pub(super) activity: Arc<Activity>,
    /// Whether data that did not come over TLS is refused.
    pub(super) is_protected: bool,
    pub(super) stall_timeout: Duration,
}

impl From<TreeError> for Error {
    fn from(error: TreeError) -> Self {
        let kind = match &error {
            TreeError::Name => ErrorKind::FileNameNotAllowedError,
            TreeError::Forbidden => ErrorKind::PermissionDenied,
            TreeError::Missing | TreeError::Offset => ErrorKind::PermanentFileNotAvailable,
            TreeError::NotEmpty => ErrorKind::PermanentDirectoryNotEmpty,
            TreeError::FileTooLarge | TreeError::Quota => ErrorKind::ExceededStorageAllocationError,
            TreeError::NoSpace => ErrorKind::InsufficientStorageSpaceError,
            TreeError::Io(_) => ErrorKind::LocalError,
        };
        Self::new(kind, error)
    }
}

impl Storage {
    fn check_protected(&self) -> Result<()> {
        if self.is_protected && !self.activity.take_data_handshake() {
            return Err(Error::new(ErrorKind::PermissionDenied, "the data connection is not protected"));
        }
        Ok(())
    }

    /// Does something with the tree where it may block.
    async fn with_tree<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Arc<Tree>) -> std::result::Result<T, TreeError> + Send + 'static,
    ) -> Result<T> {
        let _busy = self.activity.begin();
        let tree = Arc::clone(&self.tree);
        Ok(blocking(move || act(&tree)).await??)
    }

    async fn receive(
        &self,
        input: &mut (impl AsyncRead + Send + Unpin),
        mut incoming: Incoming,
    ) -> Result<u64> {
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            let (length, ended) = fill(input, &mut block, self.stall_timeout).await;
            let written;
            (incoming, block, written) = blocking(move || {
                let written = incoming.write(&block[..length]);
                (incoming, block, written)
            })
            .await?;
            match (written, ended) {
                (Ok(()), None) => {}
                (Ok(()), Some(Ok(()))) => return Ok(blocking(move || incoming.finish()).await??),
                // What has arrived stays for the next attempt to go on from.
                (Ok(()), Some(Err(error))) => return Err(Error::new(ErrorKind::ConnectionClosed, error)),
                (Err(error), _) => {
                    blocking(move || incoming.discard()).await?;
                    return Err(error.into());
                }
            }
        }
    }
}

/// Reads until the block is full, the input ends or fails, or nothing comes for too long; the second part
/// says which.
async fn fill(
    input: &mut (impl AsyncRead + Send + Unpin),
    block: &mut [u8],
    stall_timeout: Duration,
) -> (usize, Option<io::Result<()>>) {
    let mut length = 0;
    while length < block.len() {
        match timeout(stall_timeout, input.read(&mut block[length..])).await {
            Ok(Ok(0)) => return (length, Some(Ok(()))),
            Ok(Ok(read)) => length += read,
            Ok(Err(error)) => return (length, Some(Err(error))),
            Err(_) => return (length, Some(Err(io::ErrorKind::TimedOut.into()))),
        }
    }
    (length, None)
}

/// Runs what may block where it may.
async fn blocking<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    spawn_blocking(act).await.map_err(|error| Error::new(ErrorKind::LocalError, error))
}

#[async_trait]
impl StorageBackend<DefaultUser> for Storage {
    type Metadata = Meta;

    fn name(&self) -> &'static str {
        "tree"
    }

    fn supported_features(&self) -> u32 {
        FEATURE_RESTART
    }

    async fn metadata<P: AsRef<Path> + Send + Debug>(&self, _user: &DefaultUser, path: P) -> Result<Meta> {
        let path = path.as_ref().to_owned();
        self.with_tree(move |tree| tree.metadata(&path)).await
    }

    async fn list<P: AsRef<Path> + Send + Debug>(
        &self,
        _user: &DefaultUser,
        path: P,
    ) -> Result<Vec<Fileinfo<PathBuf, Meta>>> {
        self.check_protected()?;
        let path = path.as_ref().to_owned();
        let found = self.with_tree(move |tree| tree.list(&path)).await?;
        Ok(found.into_iter().map(|(name, metadata)| Fileinfo { path: name.into(), metadata }).collect())
    }

    async fn get_into<'a, P, W: ?Sized>(
        &self,
        _user: &DefaultUser,
        path: P,
        start_pos: u64,
        output: &'a mut W,
    ) -> Result<u64>
    where
        W: AsyncWrite + Unpin + Sync + Send,
        P: AsRef<Path> + Send + Debug,
    {
        self.check_protected()?;
        let _busy = self.activity.begin();
        let path = path.as_ref().to_owned();
        let mut file: File = self.with_tree(move |tree| tree.read(&path, start_pos)).await?;
        let mut block = vec![0; BLOCK_BYTES];
        let mut sent = 0;
        loop {
            let read;
            (file, block, read) = blocking(move || {
                let read = file.read(&mut block);
                (file, block, read)
            })
            .await?;
            let length = read.map_err(TreeError::from)?;
            if length == 0 {
                return Ok(sent);
            }
            timeout(self.stall_timeout, output.write_all(&block[..length]))
                .await
                .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                .map_err(|error| Error::new(ErrorKind::ConnectionClosed, error))?;
            sent += length as u64;
        }
    }

    async fn get<P: AsRef<Path> + Send + Debug>(
        &self,
        _user: &DefaultUser,
        path: P,
        start_pos: u64,
    ) -> Result<Box<dyn AsyncRead + Send + Sync + Unpin>> {
        self.check_protected()?;
        let path = path.as_ref().to_owned();
        let file = self.with_tree(move |tree| tree.read(&path, start_pos)).await?;
        Ok(Box::new(tokio::fs::File::from_std(file)))
    }

    async fn put<P: AsRef<Path> + Send + Debug, R: AsyncRead + Send + Sync + Unpin + 'static>(
        &self,
        _user: &DefaultUser,
        mut input: R,
        path: P,
        start_pos: u64,
    ) -> Result<u64> {
        self.check_protected()?;
        let _busy = self.activity.begin();
        let path = path.as_ref().to_owned();
        let incoming = self.with_tree(move |tree| Incoming::open(tree, &path, start_pos)).await?;
        self.receive(&mut input, incoming).await
    }

    async fn del<P: AsRef<Path> + Send + Debug>(&self, _user: &DefaultUser, path: P) -> Result<()> {
        let path = path.as_ref().to_owned();
        self.with_tree(move |tree| tree.remove_file(&path)).await
    }

    async fn mkd<P: AsRef<Path> + Send + Debug>(&self, _user: &DefaultUser, path: P) -> Result<()> {
        let path = path.as_ref().to_owned();
        self.with_tree(move |tree| tree.make_dir(&path)).await
    }

    async fn rename<P: AsRef<Path> + Send + Debug>(&self, _user: &DefaultUser, from: P, to: P) -> Result<()> {
        let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
        self.with_tree(move |tree| tree.rename(&from, &to)).await
    }

    async fn rmd<P: AsRef<Path> + Send + Debug>(&self, _user: &DefaultUser, path: P) -> Result<()> {
        let path = path.as_ref().to_owned();
        self.with_tree(move |tree| tree.remove_dir(&path)).await
    }

    async fn cwd<P: AsRef<Path> + Send + Debug>(&self, _user: &DefaultUser, path: P) -> Result<()> {
        let path = path.as_ref().to_owned();
        self.with_tree(move |tree| tree.enter(&path)).await
    }
}

impl Metadata for Meta {
    fn len(&self) -> u64 {
        self.size
    }

    fn is_dir(&self) -> bool {
        self.is_dir
    }

    fn is_file(&self) -> bool {
        !self.is_dir
    }

    fn is_symlink(&self) -> bool {
        false
    }

    fn modified(&self) -> Result<SystemTime> {
        Ok(self.modified)
    }

    fn gid(&self) -> u32 {
        0
    }

    fn uid(&self) -> u32 {
        0
    }

    fn permissions(&self) -> Permissions {
        Permissions(if self.is_dir { 0o700 } else { 0o600 })
    }
}
