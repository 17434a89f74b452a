//! The entry programs for connecting to a socket with a path, and sending to one: it asks for `write` of the socket (unix(7)).
//!
//! The socket is found by the path that it was bound to, where the kernel has found it by its inode: a second name of a socket
//! is not told apart. Sockets without a path, and abstract ones, are no files.

use boesfs_lang::ops::Op;

use crate::bpf::asm::{Assembler, Label};
use crate::bpf::{Field, Helper, Reg, Size, Test};
use crate::emit::Facts;

use super::entries::{Object, ask};
use super::scope::begin;

use Reg as R;

pub(super) fn all(a: &mut Assembler, facts: Facts<'_>) {
    let pass = begin(a, "lsm_unix_stream_connect");
    a.note("the socket that is connected to");
    a.load(Size::B8, R::R1, R::R6, 8);
    write(a, facts, pass);

    let pass = begin(a, "lsm_unix_may_send");
    a.note("the socket that is sent to");
    a.load(Size::B8, R::R1, R::R6, 8);
    a.load_field(Size::B8, R::R1, R::R1, Field::SOCKET_SOCK);
    a.branch(Test::Eq, R::R1, 0, pass);
    write(a, facts, pass);
}

/// Asks for `write` of the path that the socket in r1 is bound to.
fn write(a: &mut Assembler, facts: Facts<'_>, pass: Label) {
    a.helper(Helper::SkcToUnixSock);
    a.branch(Test::Eq, R::R0, 0, pass);
    a.note("the object; no path: no file");
    a.load_field(Size::B8, R::R7, R::R0, Field::UNIX_DENTRY);
    a.mov(R::R8, 0);
    a.branch(Test::Eq, R::R7, 0, pass);
    ask(a, facts, Object::Dentry(1), Op::Write, &[], pass);
}
