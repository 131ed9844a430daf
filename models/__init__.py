"""What an order event is and what it does to the totals. Pure: no I/O, no clock, no Faust, no broker."""
