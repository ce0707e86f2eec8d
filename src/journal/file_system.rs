//! Whether a lock in a folder keeps out everybody who can reach the folder. Knows nothing of runs.
//!
//! Every program of one machine shares one kernel, which keeps its locks. A folder that other machines can reach too
//! is another matter: there a lock is only as good as a server's promise, and these servers promise less than a run
//! needs, which is that nobody else holds what it holds for as long as it lives.

use std::{io, path::Path};

/// Why a lock in this folder may not keep others out; none where it does.
pub(super) fn locks_fail(dir: &Path) -> io::Result<Option<String>> {
    let stat = rustix::fs::statfs(dir)?;
    Ok(judge(&stat, dir))
}

#[cfg(target_os = "linux")]
fn judge(stat: &rustix::fs::StatFs, dir: &Path) -> Option<String> {
    // The kernel's magic numbers have 32 bits; the field is signed on some machines.
    let magic = stat.f_type as u32;
    linux::why(magic, || linux::mount_of(dir, &std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default()))
}

/// There is no list of names to go by: what the system calls local is local.
#[cfg(not(target_os = "linux"))]
fn judge(stat: &rustix::fs::StatFs, _dir: &Path) -> Option<String> {
    // The width of the field differs between the BSDs and macOS.
    let local = stat.f_flags as u64 & libc::MNT_LOCAL as u64 != 0;
    (!local).then(|| "it is on a file system that the system calls remote, whose locks need not hold".to_owned())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::path::{Path, PathBuf};

    /// A server frees what a machine holds that it has not heard of for a while, and that machine's programs go on.
    const LOST: &str = "whose server may give a lock to others while its holder is still alive";
    /// It depends on options of the mount whether a lock is told to the server at all.
    const PERHAPS: &str = "whose locks other machines need not see";
    const HOST: &str = "which belongs to another machine that need not see the locks taken here";

    /// File systems that other machines can reach, by the magic number of `statfs(2)`, and what is wrong with a lock.
    ///
    /// - NFS: `fcntl(2)`, "Lost locks"; `local_lock` and `nolock` of `nfs(5)`. `flock` is a byte range there.
    /// - SMB: `flock(2)`, "CIFS details": a lock is told to the server unless `nobrl` says otherwise, and is mandatory.
    /// - AFS: `flock=` of the kernel's `fs/afs` (`local` among its values); in OpenAFS, byte ranges are local.
    /// - Ceph: a client that is evicted loses its locks (docs.ceph.com, "Ceph file system client eviction").
    /// - Lustre: `flock`, `localflock`, `noflock` of `mount.lustre(8)`; eviction revokes locks as well.
    /// - BeeGFS: `tuneUseGlobalFileLocks = false` by default (`beegfs-client.conf`).
    /// - 9p: "always return success because all lock handling is done by client's VFS layer" (QEMU, `hw/9pfs/9p.c`).
    /// - Shared folders of virtual machines: the guest's kernel keeps the locks.
    /// - Of Coda, NCP, OrangeFS, PanFS and GPFS nothing was found that promises more.
    ///
    /// OCFS2 and GFS2 are missing on purpose: their `flock` is one of the whole cluster, and a machine that falls out
    /// of the cluster is fenced, so that nothing on it goes on.
    const SHARED: &[(u32, &str, &str)] = &[
        (0x0000_6969, "NFS", LOST),
        (0xff53_4d42, "SMB (CIFS)", PERHAPS),
        (0xfe53_4d42, "SMB", PERHAPS),
        (0x0000_517b, "SMB", PERHAPS),
        (0x5346_414f, "AFS", PERHAPS),
        (0x6b41_4653, "AFS", PERHAPS),
        (0x00c3_6400, "Ceph", LOST),
        (0x0bd0_0bd0, "Lustre", LOST),
        (0x1983_0326, "BeeGFS", PERHAPS),
        (0x2003_0528, "OrangeFS", PERHAPS),
        (0xaad7_aaea, "PanFS", PERHAPS),
        (0x4750_4653, "GPFS", PERHAPS),
        (0x7375_7245, "Coda", PERHAPS),
        (0x0000_564c, "NCP", PERHAPS),
        (0x0102_1997, "9p", HOST),
        (0x786f_4256, "a shared folder of VirtualBox", HOST),
        (0xbacb_acbc, "a shared folder of VMware", HOST),
        (0x7c7c_6673, "a shared folder of Parallels", HOST),
    ];

    const FUSE: u32 = 0x6573_5546;

    /// What FUSE shows of this machine's own disks. For a program that does not take locks itself the kernel keeps
    /// them (`fuse_file_flock` in the kernel's `fs/fuse/file.c`), which is all that is needed there. Whatever stands in
    /// no such list may be a network: sshfs, s3fs, rclone, GlusterFS and many others.
    const LOCAL_FUSE: &[&str] = &[
        "fuseblk",
        "fuse.apfs",
        "fuse.bindfs",
        "fuse.cryfs",
        "fuse.encfs",
        "fuse.exfat",
        "fuse.ext4",
        "fuse.fuse-overlayfs",
        "fuse.fuse2fs",
        "fuse.gocryptfs",
        "fuse.lowntfs-3g",
        "fuse.lxcfs",
        "fuse.mergerfs",
        "fuse.ntfs-3g",
        "fuse.securefs",
        "fuse.unionfs",
        "fuse.zfs",
    ];

    pub(super) fn why(magic: u32, mount: impl FnOnce() -> Option<Mount>) -> Option<String> {
        if magic == FUSE {
            let mount = mount();
            let name = mount.as_ref().map_or("FUSE", |mount| &mount.name);
            if LOCAL_FUSE.contains(&name) {
                return None;
            }
            let (shown, why) = match name {
                "virtiofs" => ("virtiofs".to_owned(), HOST),
                name => (format!("FUSE ({name})"), "which may be a network's, whose locks other machines need not see"),
            };
            return Some(format!("it is on {shown}{}, {why}", at(mount.as_ref())));
        }
        let (_, name, why) = SHARED.iter().find(|(known, ..)| *known == magic)?;
        Some(format!("it is on {name}{}, {why}", at(mount().as_ref())))
    }

    fn at(mount: Option<&Mount>) -> String {
        mount.map_or(String::new(), |mount| format!(" (mounted at {})", mount.at.display()))
    }

    #[derive(Debug, PartialEq)]
    pub(super) struct Mount {
        pub(super) at: PathBuf,
        /// Its type, such as `ext4` or `fuse.sshfs`.
        pub(super) name: String,
    }

    /// The mount a folder is on, out of `/proc/self/mountinfo` (proc_pid_mountinfo(5)): of those above it the deepest,
    /// and of several on one place the last.
    pub(super) fn mount_of(dir: &Path, mountinfo: &str) -> Option<Mount> {
        let dir = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
        let mounts = mountinfo.lines().filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let at = PathBuf::from(unescape(left.split(' ').nth(4)?));
            let name = unescape(right.split(' ').next()?);
            dir.starts_with(&at).then_some(Mount { at, name })
        });
        mounts.max_by_key(|mount| mount.at.components().count())
    }

    /// Blanks, line feeds and backslashes stand there in octal.
    fn unescape(text: &str) -> String {
        [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
            .iter()
            .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        const INFO: &str = "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                            30 21 0:50 / /home rw - nfs4 server:/home rw,local_lock=none\n\
                            31 30 0:51 / /home/ada\\040b rw master:4 - fuse.sshfs ada@host: rw\n\
                            32 31 0:52 / /home/ada\\040b rw - fuse.gocryptfs /x rw\n";

        fn mount(dir: &str) -> Mount {
            mount_of(Path::new(dir), INFO).unwrap()
        }

        #[test]
        fn a_folder_is_on_the_deepest_and_last_mount_above_it() {
            for (dir, at, name) in [
                ("/no/such", "/", "ext4"),
                ("/home/x", "/home", "nfs4"),
                ("/home/ada b/c", "/home/ada b", "fuse.gocryptfs"),
                ("/homes", "/", "ext4"),
            ] {
                assert_eq!(mount(dir), Mount { at: at.into(), name: name.into() }, "{dir}");
            }
            assert_eq!(mount_of(Path::new("/x"), ""), None);
        }

        #[test]
        fn what_other_machines_can_reach_is_refused_and_what_is_here_is_not() {
            let none = || None;
            // ext4, xfs, btrfs, zfs, tmpfs, overlay, f2fs, and those whose locks are the cluster's.
            for local in [
                0xef53,
                0x5846_5342,
                0x9123_683e,
                0x2fc1_2fc1,
                0x0102_1994,
                0x794c_7630,
                0xf2f5_2010,
                0x7461_636f,
                0x0116_1970,
            ] {
                assert_eq!(why(local, none), None, "{local:#x}");
            }
            for (magic, name, _) in SHARED {
                let said = why(*magic, none).unwrap();
                assert!(said.starts_with(&format!("it is on {name}, wh")), "{said}");
            }
            assert_eq!(
                why(0x6969, || Some(mount("/home/x"))).unwrap(),
                "it is on NFS (mounted at /home), whose server may give a lock to others while its holder is still alive"
            );
        }

        #[test]
        fn of_fuse_only_what_is_known_to_be_local_is_taken() {
            let of = |name: &str| why(FUSE, || Some(Mount { at: "/m".into(), name: name.into() }));
            for name in LOCAL_FUSE {
                assert_eq!(of(name), None);
            }
            for name in ["fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.ceph-fuse", "fuse", "new"] {
                let said = of(name).unwrap();
                assert!(said.starts_with(&format!("it is on FUSE ({name}) (mounted at /m), which may be")), "{said}");
            }
            assert!(of("virtiofs").unwrap().starts_with("it is on virtiofs (mounted at /m), which belongs"));
            assert!(why(FUSE, || None).unwrap().starts_with("it is on FUSE (FUSE), which may be"));
        }
    }
}
