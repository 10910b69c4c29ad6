//! The cells that answer "which one should I take", the most important first.

use ipc_bench_schema::{MechanismInfo, Payload, Placement, Setting, Topology, WaitMode};

use super::Shape;

/// The size of a message where it does not matter much: a cache line.
pub(super) const SIZE: usize = 64;
/// How many send to one, or receive from one.
pub(super) const MANY: u32 = 3;

/// How soon a cell of this shape is left out. To be created is all that some mechanisms do; of the others something
/// else matters more.
pub(super) fn rank(shape: &Shape, it: &MechanismInfo) -> u8 {
    let also = shape.topology == Topology::Setup && it.topologies.contains(&Topology::PingPong);
    if also && shape.rank < SETUP { SETUP } else { shape.rank }
}

/// The rank of `setup` where it is not all that a mechanism does.
const SETUP: u8 = 6;

/// The shapes of cells, each with its rank. When time is short, those with the highest rank are left out of
/// all mechanisms alike, so that what is left can be compared.
pub(super) fn shapes() -> Vec<Shape> {
    use Placement::{CrossCpu, SameCpu};
    use Topology::{FanIn, FanOut, IdleGap, OpenLoop, PingPong, Setup, Stream};
    use WaitMode::{Adaptive, Block, Spin};
    let none = Setting::None;
    let shape = |rank, topology, setting, size, placement, wait| Shape {
        rank,
        topology,
        setting,
        size,
        placement,
        wait,
        payload: Payload::Touch,
    };
    let handoff = |shape: Shape| Shape { payload: Payload::Handoff, ..shape };
    vec![
        // How long does a message take? The same CPU, where the mechanism itself is seen, and two, where the
        // waking is.
        shape(0, PingPong, none, SIZE, SameCpu, Block),
        shape(0, PingPong, none, SIZE, CrossCpu, Block),
        shape(0, Setup, none, SIZE, SameCpu, Block),
        // How many a second?
        shape(1, Stream, none, SIZE, CrossCpu, Block),
        // How long without sleeping?
        shape(2, PingPong, none, SIZE, CrossCpu, Spin),
        // How many bytes a second?
        shape(3, Stream, none, 65536, CrossCpu, Block),
        // With several senders?
        shape(4, FanIn, Setting::Many(MANY), SIZE, CrossCpu, Block),
        shape(5, Stream, none, 4096, CrossCpu, Block),
        // Without a copy, where the mechanism can do that?
        handoff(shape(5, PingPong, none, 8192, CrossCpu, Spin)),
        handoff(shape(7, Stream, none, 8192, CrossCpu, Spin)),
        // After a pause, in which the receiver has gone to sleep?
        shape(6, IdleGap, Setting::Pause(1000), SIZE, CrossCpu, Block),
        shape(7, Stream, none, SIZE, CrossCpu, Spin),
        // How long under load?
        shape(8, OpenLoop, Setting::Poisson, SIZE, CrossCpu, Block),
        shape(9, PingPong, none, 4096, SameCpu, Block),
        shape(10, FanOut, Setting::Many(MANY), SIZE, CrossCpu, Block),
        shape(11, PingPong, none, SIZE, CrossCpu, Adaptive),
        shape(12, Setup, none, SIZE, CrossCpu, Block),
        shape(12, PingPong, none, 4096, CrossCpu, Spin),
    ]
}
