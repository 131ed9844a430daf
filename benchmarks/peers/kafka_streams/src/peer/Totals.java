package peer;

import com.fasterxml.jackson.annotation.JsonFormat;
import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import java.math.BigDecimal;
import java.util.HashMap;
import java.util.Map;

/** A customer's row: events, orders, money per currency. */
@JsonFormat(shape = JsonFormat.Shape.ARRAY)
@JsonPropertyOrder({"events", "orders", "money"})
public record Totals(long events, long orders, Map<String, BigDecimal> money) {
    static Totals none() {
        return new Totals(0, 0, Map.of());
    }

    /** Return the row with one event more. */
    Totals with(OrderEvent event) {
        if (!(event instanceof OrderEvent.Created created)) {
            return new Totals(events + 1, orders, money);
        }
        Map<String, BigDecimal> more = new HashMap<>(money);
        more.merge(created.currency(), created.totalAmount().value(), BigDecimal::add);
        return new Totals(events + 1, orders + 1, more);
    }
}
