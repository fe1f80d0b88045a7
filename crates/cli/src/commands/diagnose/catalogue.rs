//! The messages of the launcher, of `zwe`'s range and our own, in order of their ids.

use serde::Serialize;

/// One message.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    /// Its id.
    pub(super) id: &'static str,
    /// What it means.
    pub(super) meaning: &'static str,
    /// What to do.
    pub(super) action: &'static str,
}

const fn entry(id: &'static str, meaning: &'static str, action: &'static str) -> Entry {
    Entry { id, meaning, action }
}

/// Every message that is explained.
pub(super) const CATALOGUE: &[Entry] = &[
    entry("ZWEL0001I", "a component was started; READY is told by ZWEL0076I", "nothing to do"),
    entry("ZWEL0002I", "a component was stopped", "nothing to do"),
    entry(
        "ZWEL0004I",
        "the process of a component ended",
        "`tender logs COMPONENT` shows what it printed last",
    ),
    entry(
        "ZWEL0005I",
        "a component that ended starts again after a time",
        "`tender start COMPONENT` starts it at once",
    ),
    entry("ZWEL0006I", "the components are being started", "`tender status --watch` shows how they do"),
    entry("ZWEL0007I", "all components are started and READY", "nothing to do"),
    entry("ZWEL0008I", "the components are being stopped", "nothing to do"),
    entry("ZWEL0009I", "all components have stopped", "nothing to do"),
    entry("ZWEL0010I", "the answer to DISP begins", "nothing to do"),
    entry("ZWEL0011I", "a component in the answer to DISP", "nothing to do"),
    entry("ZWEL0012I", "the launcher listens on its console", "nothing to do"),
    entry("ZWEL0013I", "the launcher was given a command", "nothing to do"),
    entry("ZWEL0014I", "the launcher was told to end", "nothing to do"),
    entry("ZWEL0015I", "the console has ended", "nothing to do"),
    entry("ZWEL0016I", "the components that will be started", "nothing to do"),
    entry("ZWEL0017I", "the runtime directory in use", "nothing to do"),
    entry("ZWEL0018I", "preparing is done", "nothing to do"),
    entry("ZWEL0019I", "the launcher ends because of a signal", "nothing to do"),
    entry("ZWEL0020I", "the configuration is being read", "nothing to do"),
    entry("ZWEL0021I", "the launcher starts", "nothing to do"),
    entry("ZWEL0022I", "the launcher has ended", "nothing to do"),
    entry("ZWEL0023I", "the configuration files in use", "nothing to do"),
    entry("ZWEL0024I", "the HA instance in use", "nothing to do"),
    entry(
        "ZWEL0029E",
        "there is no component to start",
        "`tender component list` shows what is enabled and starts; `tender component enable NAME` enables one",
    ),
    entry(
        "ZWEL0030E",
        "preparing failed, nothing was started",
        "mend what is said about each component; `tender validate` checks it without starting anything",
    ),
    entry(
        "ZWEL0032E",
        "a directory that is needed is not there",
        "make it, or correct its path in zowe.yaml or on the command line",
    ),
    entry(
        "ZWEL0035E",
        "the arguments are not understood, or do not say which of several is meant",
        "`--help` shows them; --ha-instance names one of several HA instances",
    ),
    entry(
        "ZWEL0036E",
        "the launcher cannot begin: its lock, its log or its HA instance",
        "the cause stands with it; `tender config validate` lists HA instances",
    ),
    entry(
        "ZWEL0038E",
        "a component failed too often and is not started again by itself",
        "find out why with `tender logs COMPONENT`, then `tender start COMPONENT`",
    ),
    entry("ZWEL0039E", "the component runs already", "`tender restart COMPONENT` starts it anew"),
    entry(
        "ZWEL0040E",
        "a component or the launcher could not be started",
        "the cause stands with it: a program that is missing, or a right",
    ),
    entry("ZWEL0041E", "a command of the console lacks its component", "write it as START(component)"),
    entry("ZWEL0042E", "the console knows no such command", "HELP in `tender console` lists them"),
    entry(
        "ZWEL0045E",
        "a configuration of version 1 cannot be converted",
        "correct the lines that are named; nothing in instance.env is executed",
    ),
    entry("ZWEL0050E", "output of a component cannot be read", "`tender restart COMPONENT`"),
    entry(
        "ZWEL0052W",
        "not every component is READY",
        "`tender status` shows which, `tender logs COMPONENT` why",
    ),
    entry(
        "ZWEL0053W",
        "components did not stop within their grace time and were killed",
        "give them more with `tender: { stop: { grace: 60s } }` in manifest or zowe.yaml",
    ),
    entry("ZWEL0054E", "there is no such component", "`tender component list` shows those there are"),
    entry(
        "ZWEL0054W",
        "the console was asked for a component that is not there",
        "DISP lists those there are",
    ),
    entry("ZWEL0058I", "the workspace directory in use", "nothing to do"),
    entry(
        "ZWEL0062E",
        "a directory cannot be made",
        "look at rights, and whether its file system is full or read-only",
    ),
    entry("ZWEL0063W", "a component did not stop in time and is killed", "see ZWEL0053W"),
    entry(
        "ZWEL0064E",
        "the launcher does not answer, or may not be asked by this user",
        "ask as the user who runs it, or as root",
    ),
    entry(
        "ZWEL0066W",
        "a component's script failed, and its policy lets the others start",
        "`tender validate` shows its output; `tender: { onFailure: fail }` makes it stop the start",
    ),
    entry("ZWEL0069I", "the configuration is valid", "nothing to do"),
    entry(
        "ZWEL0070E",
        "the configuration is not valid",
        "each problem has file, line and column; `tender config validate` shows them all, `tender config schema` what is allowed",
    ),
    entry(
        "ZWEL0072E",
        "the configuration cannot be read",
        "mend the place that is named; indentation and quotes are the usual reasons",
    ),
    entry("ZWEL0073E", "there is no such schema", "`tender config schema` lists them"),
    entry("ZWEL0075I", "the instance is ready", "nothing to do"),
    entry("ZWEL0076I", "a component is ready", "nothing to do"),
    entry(
        "ZWEL0077W",
        "a health probe of a component fails",
        "it is started again when the probe fails as often as configured",
    ),
    entry("ZWEL0078I", "a component is well again", "nothing to do"),
    entry(
        "ZWEL0079W",
        "a component is stopped because it failed its probe or deadline",
        "`tender logs COMPONENT`; `tender: { readiness: { deadline: … } }` gives it more time",
    ),
    entry(
        "ZWEL0080E",
        "a component ended with a code that means it must not be started again",
        "mend its configuration, then `tender start COMPONENT`",
    ),
    entry("ZWEL0081I", "a component ended well and is not meant to be started again", "nothing to do"),
    entry(
        "ZWEL0082E",
        "processes of a component live on after a kill",
        "they hang in the kernel, mostly on a device or network file system",
    ),
    entry("ZWEL0083W", "processes of an earlier launcher were found and are stopped", "nothing to do"),
    entry(
        "ZWEL0084W",
        "a limit of a component is not enforced, or differently",
        "run it where cgroups can be used, as under systemd with Delegate=yes",
    ),
    entry(
        "ZWEL0085W",
        "output of a component cannot be written to its log",
        "make room, or give the log directory back its rights",
    ),
    entry("ZWEL0086I", "output is written to the log again", "nothing to do"),
    entry(
        "ZWEL0087W",
        "somebody was refused at the console",
        "only the user of the launcher and root may ask it",
    ),
    entry("ZWEL0088I", "what a reload changes", "nothing to do"),
    entry("ZWEL0089E", "a new plan cannot be had; nothing was changed", "`tender validate` says why"),
    entry(
        "ZWEL0090E",
        "what was waited for did not become READY",
        "`tender status`, `tender logs COMPONENT`",
    ),
    entry("ZWEL0091I", "what preparing a reload says", "nothing to do"),
    entry("ZWEL0092W", "the launcher cannot write its state down", "make room in the workspace"),
    entry("ZWEL0093E", "a request to the launcher cannot be carried out", "the reason stands with it"),
    entry(
        "ZWEL0094W",
        "process trees are not held by cgroups",
        "everything works; limits of memory and CPU need cgroups",
    ),
    entry(
        "ZWEL0095W",
        "a component is left out, or runs on as it was",
        "mend what is said about it, then `tender reload`",
    ),
    entry("ZWEL0102E", "an argument is wrong", "`--help` shows what is taken"),
    entry("ZWEL0104E", "`zwe` knows no such command", "`tender --help` lists ours"),
    entry(
        "ZWEL0106E",
        "an option that `zwe` needs is missing",
        "`--help` of our command shows what it takes",
    ),
    entry(
        "ZWEL0109E",
        "a configuration file is not there or cannot be read",
        "name it with --config, the directory with --instance",
    ),
    entry(
        "ZWEL0110E",
        "a directory cannot be written",
        "act as the user whose directory it is, or let this user write there",
    ),
    entry(
        "ZWEL0112E",
        "the instance is not prepared; only the reference says so",
        "`tender start` prepares it by itself",
    ),
    entry("ZWEL0120E", "a verb of `zwe` needs z/OS", "there is nothing like it on this system"),
    entry(
        "ZWEL0131E",
        "a key is not configured",
        "`tender config get` shows what is; `tender config set KEY=VALUE` sets it",
    ),
    entry(
        "ZWEL0132E",
        "a component, or a manifest that can be used, is not there",
        "`tender component list`, `tender component verify NAME`",
    ),
    entry(
        "ZWEL0138E",
        "a key of the configuration cannot be changed",
        "change it with an editor; mappings, sequences and anchors are not changed by commands",
    ),
    entry("ZWEL0140E", "a value cannot be written", "report it"),
    entry("ZWEL0150E", "a file is not there or cannot be read", "correct the path or the rights"),
    entry(
        "ZWEL0151E",
        "a file cannot be written",
        "look at rights, and whether the file system is full or read-only",
    ),
    entry(
        "ZWEL0152E",
        "a component cannot be enabled, disabled or removed",
        "others require it, or the instance is one of version 1: convert it with `tender config convert`",
    ),
    entry("ZWEL0153E", "the extension directory cannot be changed", "look at its rights and its file system"),
    entry(
        "ZWEL0154E",
        "an archive cannot be used",
        "it must be a directory, tar, zip or pax with one component in it, without paths that lead out",
    ),
    entry(
        "ZWEL0155E",
        "the component is installed already",
        "`tender component upgrade` puts another version in its place",
    ),
    entry(
        "ZWEL0156E",
        "the install command of a component failed; everything is as it was",
        "its last output stands with it",
    ),
    entry("ZWEL0157E", "a key that everything needs is not configured", "set it in zowe.yaml"),
    entry("ZWEL0158E", "there are certificates already", "--overwrite replaces them and keeps the old ones"),
    entry("ZWEL0164E", "a setting cannot be understood", "`tender config explain KEY` says where it stands"),
    entry("ZWEL0167E", "a component's manifest or name cannot be used", "its problems stand with it"),
    entry("ZWEL0168E", "the certificate authority cannot be used", "--new-authority makes another one"),
    entry("ZWEL0169E", "certificates cannot be made or written", "the cause stands with it"),
    entry(
        "ZWEL0170E",
        "the certificate of a server cannot be had or is not the expected one",
        "check host and port; ask its owner for the fingerprint",
    ),
    entry(
        "ZWEL0178E",
        "a store cannot be read or written",
        "its password is given by --password-file or --password-env",
    ),
    entry(
        "ZWEL0179E",
        "a certificate or authority cannot be imported",
        "it must be valid and lead to an authority; --authority names a further one",
    ),
    entry("ZWEL0180E", "there is no extension directory", "set zowe.extensionDirectory in zowe.yaml"),
    entry("ZWEL0204E", "a link cannot be made of an archive", "--link takes a directory"),
    entry("ZWEL0300E", "a file is there already", "choose another one, or move it away"),
    entry("ZWEL0300W", "something that was there is replaced and kept as a backup", "nothing to do"),
    entry(
        "ZWEL0303E",
        "a key is not configured, or is no key",
        "`tender config get components` shows a part of what there is",
    ),
    entry("ZWEL0303W", "a key is set nowhere", "nothing to do"),
    entry("ZWEL0306E", "the component is not installed", "`tender component list` shows those that are"),
    entry(
        "ZWEL0307E",
        "the component belongs to the product and is not removed",
        "`tender component disable NAME` keeps it from starting",
    ),
    entry("ZWEL0308W", "something about a component that is changed", "read it"),
    entry(
        "ZWEL0317E",
        "a component could not be configured",
        "its output stands with it; zowe.launchScript.onComponentConfigureFail says what follows",
    ),
    entry("ZWEL0800I", "a line of a component that zowe.sysMessages is about", "nothing to do"),
    entry("ZWEL0801I", "how process trees are held", "nothing to do"),
    entry("ZWEL0801W", "a component is left out or warned of", "`tender validate` says more"),
    entry("ZWEL0802E", "no launcher runs", "`tender start` starts it"),
    entry("ZWEL0803W", "there is nothing to stop", "nothing to do"),
    entry("ZWEL0807W", "a certificate has expired", "`tender certificate renew`"),
    entry("ZWEL0812W", "a check found something that needs attention", "what was found stands with it"),
    entry(
        "ZWEL0813E",
        "a check found something that is not as it should be",
        "what was found stands with it",
    ),
    entry(
        "ZWEL0814W",
        "nothing is trusted: no fingerprint was given",
        "ask the server's owner for its fingerprint",
    ),
    entry("ZWEL0818W", "a problem of the configuration that stops nothing", "mend it when there is time"),
    entry(
        "ZWEL0820E",
        "another launcher runs this instance",
        "`tender status` shows it, `tender stop` ends it",
    ),
    entry("ZWEL0821E", "a server that was asked is not well", "`tender logs` of its component"),
    entry(
        "ZWEL0832W",
        "root changes an instance of another user",
        "give the command as that user; give back with `chown` what root has made",
    ),
];
