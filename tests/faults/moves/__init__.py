"""The moves; a new one is a file of its own and a line here."""

from tests.faults.moves.broker_kill import BrokerKill
from tests.faults.moves.broker_pause import BrokerPause
from tests.faults.moves.careless_producer import CarelessProducer
from tests.faults.moves.clock_jump import ClockJump
from tests.faults.moves.compressed import Compressed
from tests.faults.moves.disk_full import DiskFull
from tests.faults.moves.emit import Emit
from tests.faults.moves.letters_deed import LettersDeed
from tests.faults.moves.move import Move
from tests.faults.moves.net_cut import NetCut
from tests.faults.moves.net_delay import NetDelay
from tests.faults.moves.net_half_close import NetHalfClose
from tests.faults.moves.net_hold import NetHold
from tests.faults.moves.net_trouble import NetTrouble
from tests.faults.moves.poison_flood import PoisonFlood
from tests.faults.moves.worker_join import WorkerJoin
from tests.faults.moves.worker_kill import WorkerKill
from tests.faults.moves.worker_pause import WorkerPause
from tests.faults.moves.worker_stop import WorkerStop
from tests.faults.moves.workers_all import WorkersAll

MOVES: dict[str, Move] = {
    move.name: move
    for move in (
        WorkerKill(),
        WorkerPause(),
        WorkerStop(),
        WorkerJoin(),
        WorkersAll(),
        BrokerKill(),
        BrokerPause(),
        NetCut(),
        NetTrouble(),
        NetDelay(),
        NetHalfClose(),
        NetHold(),
        Emit(),
        LettersDeed(),
        PoisonFlood(),
        Compressed(),
        CarelessProducer(),
        ClockJump(),
        DiskFull(),
    )
}
