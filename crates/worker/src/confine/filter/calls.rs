//! Groups of system calls, by their numbers on the architecture that is built for.

#[cfg(not(target_arch = "x86_64"))]
macro_rules! calls {
    ($($all:ident)* ; $($old:ident)*) => { &[$(libc::$all),*] };
}
#[cfg(target_arch = "x86_64")]
macro_rules! calls {
    // The second group are those that x86 has and others have not, or have under another name.
    ($($all:ident)* ; $($old:ident)*) => { &[$(libc::$all,)* $(libc::$old),*] };
}

/// What every program does: memory, time, its own descriptors, waiting, ending.
pub(super) const BASE: &[i64] = calls![
    SYS_read SYS_write SYS_readv SYS_writev SYS_pread64 SYS_pwrite64 SYS_close SYS_close_range SYS_fstat SYS_lseek
    SYS_munmap SYS_brk SYS_mremap SYS_madvise SYS_mlock SYS_munlock SYS_membarrier
    SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_sigaltstack SYS_rt_sigtimedwait
    SYS_futex SYS_set_robust_list SYS_get_robust_list SYS_rseq SYS_set_tid_address SYS_sched_yield
    SYS_sched_getaffinity SYS_getcpu SYS_nanosleep SYS_clock_nanosleep SYS_clock_gettime SYS_clock_getres SYS_gettimeofday
    SYS_getpid SYS_gettid SYS_getppid SYS_getuid SYS_geteuid SYS_getgid SYS_getegid SYS_getresuid SYS_getresgid
    SYS_getgroups SYS_getrandom SYS_uname SYS_sysinfo SYS_exit SYS_exit_group SYS_restart_syscall
    SYS_ppoll SYS_pselect6 SYS_fcntl SYS_dup SYS_dup3
    SYS_sendmsg SYS_recvmsg SYS_sendto SYS_recvfrom SYS_shutdown SYS_getsockopt SYS_setsockopt SYS_getsockname SYS_getpeername ;
    SYS_poll SYS_select SYS_dup2 SYS_time SYS_getrlimit
];

/// Many descriptors, shared memory, doorbells.
pub(super) const POLLING: &[i64] = calls![
    SYS_epoll_create1 SYS_epoll_ctl SYS_epoll_pwait SYS_eventfd2 SYS_timerfd_create SYS_timerfd_settime SYS_timerfd_gettime
    SYS_memfd_create SYS_ftruncate SYS_sendmmsg SYS_recvmmsg SYS_socketpair SYS_pipe2 ;
    SYS_epoll_wait
];

/// What libraries try at any time.
pub(super) const OPENING: &[i64] = calls![
    SYS_openat SYS_faccessat SYS_faccessat2 SYS_readlinkat SYS_newfstatat SYS_statx ;
    SYS_open SYS_access SYS_readlink SYS_stat SYS_lstat
];

/// Reading files and directories.
pub(super) const FILES: &[i64] = calls![
    SYS_openat2 SYS_getdents64 SYS_statfs SYS_fstatfs SYS_getcwd SYS_fgetxattr SYS_getxattr SYS_flistxattr
    SYS_fadvise64 SYS_readahead ;
    SYS_getdents
];

/// Making and changing files.
pub(super) const CHANGING: &[i64] = calls![
    SYS_mkdirat SYS_unlinkat SYS_renameat2 SYS_linkat SYS_symlinkat SYS_fchmod SYS_fchmodat SYS_fchown
    SYS_fchownat SYS_ftruncate SYS_truncate SYS_fallocate SYS_fsync SYS_fdatasync SYS_utimensat
    SYS_flock SYS_copy_file_range SYS_umask SYS_msync ;
    SYS_mkdir SYS_rmdir SYS_unlink SYS_rename SYS_link SYS_symlink SYS_chmod SYS_chown SYS_lchown SYS_sync_file_range
];

/// Hearing of changes of files.
pub(super) const WATCHING: &[i64] =
    calls![SYS_inotify_init1 SYS_inotify_add_watch SYS_inotify_rm_watch ; SYS_inotify_init];

/// Being a client.
pub(super) const CONNECTING: &[i64] = calls![SYS_connect SYS_socketpair ;];

/// Being a server.
pub(super) const SERVING: &[i64] = calls![SYS_bind SYS_listen SYS_accept4 ; SYS_accept];

/// Running programs, and what an ordinary program beyond ours does.
pub(super) const PROCESSES: &[i64] = calls![
    SYS_execve SYS_execveat SYS_wait4 SYS_waitid SYS_kill SYS_tgkill SYS_tkill SYS_pidfd_open SYS_pidfd_send_signal
    SYS_rt_sigqueueinfo SYS_rt_sigpending SYS_rt_sigsuspend SYS_signalfd4 SYS_setsid SYS_getsid SYS_setpgid SYS_getpgid
    SYS_setuid SYS_setgid SYS_setreuid SYS_setregid SYS_setresuid SYS_setresgid SYS_setgroups SYS_setfsuid SYS_setfsgid
    SYS_capget SYS_capset SYS_chdir SYS_fchdir SYS_umask SYS_getrusage SYS_times SYS_getpriority SYS_setpriority
    SYS_setitimer SYS_getitimer SYS_timer_create SYS_timer_settime SYS_timer_delete SYS_timer_gettime SYS_preadv SYS_pwritev
    SYS_preadv2 SYS_pwritev2 SYS_sendfile SYS_splice SYS_tee SYS_mincore SYS_mlock2 SYS_sched_setaffinity
    SYS_sched_getparam SYS_sched_getscheduler SYS_sched_setscheduler SYS_sched_get_priority_max
    SYS_sched_get_priority_min SYS_sync ;
    SYS_fork SYS_vfork SYS_pipe SYS_eventfd SYS_epoll_create SYS_getpgrp SYS_alarm SYS_pause SYS_arch_prctl SYS_signalfd
    SYS_mknod SYS_setrlimit SYS_pkey_alloc SYS_pkey_free SYS_pkey_mprotect
];

/// Into the kernel, into other processes, into the host as a whole.
pub(super) const NOT_FOR_PROGRAMS: &[i64] = calls![
    SYS_kexec_load SYS_init_module SYS_finit_module SYS_delete_module SYS_bpf SYS_perf_event_open SYS_userfaultfd
    SYS_io_uring_setup SYS_io_uring_enter SYS_io_uring_register SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev
    SYS_kcmp SYS_pidfd_getfd SYS_move_pages SYS_migrate_pages SYS_add_key SYS_request_key SYS_keyctl SYS_mount SYS_umount2
    SYS_pivot_root SYS_chroot SYS_setns SYS_fsopen SYS_fsconfig SYS_fsmount SYS_fspick SYS_open_tree SYS_move_mount
    SYS_mount_setattr SYS_swapon SYS_swapoff SYS_reboot SYS_acct SYS_quotactl SYS_open_by_handle_at SYS_name_to_handle_at
    SYS_settimeofday SYS_clock_settime SYS_adjtimex SYS_clock_adjtime SYS_sethostname SYS_setdomainname SYS_syslog
    SYS_vhangup SYS_personality SYS_fanotify_init SYS_lookup_dcookie ;
    SYS_iopl SYS_ioperm SYS_modify_ldt SYS_uselib SYS_kexec_file_load
];

/// `renameat`, which newer architectures have although their C library does not name it.
#[cfg(target_arch = "x86_64")]
pub(super) const RENAMEAT: i64 = libc::SYS_renameat;
/// As above.
#[cfg(not(target_arch = "x86_64"))]
pub(super) const RENAMEAT: i64 = 38;

/// Flags of `clone` that make namespaces.
pub(super) const NEW_NAMESPACES: u64 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u64;

/// Commands of `ioctl`: blocking or not, bytes that wait, whether it is a terminal.
#[expect(clippy::unnecessary_cast, reason = "their type differs between C libraries")]
pub(super) const IOCTLS: &[u64] =
    &[libc::FIONBIO as u64, libc::FIONREAD as u64, libc::FIOCLEX as u64, libc::TCGETS as u64];

/// Commands of `prctl`: names of threads and of memory, and reading.
pub(super) const PRCTLS: &[u64] = &[
    libc::PR_SET_NAME as u64,
    libc::PR_GET_NAME as u64,
    libc::PR_GET_DUMPABLE as u64,
    libc::PR_GET_SECCOMP as u64,
    libc::PR_GET_NO_NEW_PRIVS as u64,
    libc::PR_CAPBSET_READ as u64,
    // PR_GET_AUXV, by which rustix finds the page size and the clock: what the kernel told this process at its start.
    0x4155_5856,
    // PR_SET_VMA, which the C library calls to name its memory.
    0x5356_4d41,
];
