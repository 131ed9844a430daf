package peer;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.annotation.JsonSubTypes;
import com.fasterxml.jackson.annotation.JsonTypeInfo;
import com.fasterxml.jackson.databind.annotation.JsonDeserialize;
import java.math.BigDecimal;
import java.time.LocalDateTime;
import java.util.List;

/**
 * The six order events under the rules of models/fields.py and models/events.py. A record that exists has been checked
 * fully: its fields by the deserializers in Fields, what is wrong between fields by the constructors here.
 */
@JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "event_type")
@JsonSubTypes({
    @JsonSubTypes.Type(value = OrderEvent.Created.class, name = "order.created"),
    @JsonSubTypes.Type(
            value = OrderEvent.Plain.class,
            names = {"order.paid", "order.shipped", "order.delivered", "order.cancelled"}),
    @JsonSubTypes.Type(value = OrderEvent.Refunded.class, name = "order.refunded"),
})
public sealed interface OrderEvent {
    BigDecimal WORTH_LIMIT = BigDecimal.valueOf(1_000_000_000_000L);

    String customerId();

    record Item(
            @JsonProperty("sku") @JsonDeserialize(using = Fields.Id.class) String sku,
            @JsonProperty("qty") @JsonDeserialize(using = Fields.Quantity.class) Integer qty,
            @JsonProperty("price") @JsonDeserialize(using = Fields.AmountReader.class) Amount price) {
        public Item {
            Fields.present("sku", sku);
            Fields.present("qty", qty);
            Fields.present("price", price);
        }
    }

    record Created(
            @JsonProperty("event_id") @JsonDeserialize(using = Fields.Id.class) String eventId,
            @JsonProperty("timestamp") @JsonDeserialize(using = Fields.Timestamp.class) LocalDateTime timestamp,
            @JsonProperty("order_id") @JsonDeserialize(using = Fields.Id.class) String orderId,
            @JsonProperty("customer_id") @JsonDeserialize(using = Fields.Id.class) String customerId,
            @JsonProperty("total_amount") @JsonDeserialize(using = Fields.AmountReader.class) Amount totalAmount,
            @JsonProperty("currency") @JsonDeserialize(using = Fields.Currency.class) String currency,
            @JsonProperty("items") List<Item> items)
            implements OrderEvent {
        public Created {
            Fields.common(eventId, timestamp, orderId, customerId);
            Fields.present("total_amount", totalAmount);
            Fields.present("currency", currency);
            Fields.present("items", items);
            if (items.isEmpty() || items.size() > 500) {
                throw new IllegalArgumentException("items: must have 1 to 500 items, got " + items.size());
            }
            int decimals = Currencies.decimals(currency);
            totalAmount = totalAmount.in(decimals, "total_amount");
            BigDecimal worth = BigDecimal.ZERO;
            for (Item item : items) {
                BigDecimal price = item.price().in(decimals, "items.price").value();
                worth = worth.add(price.multiply(BigDecimal.valueOf(item.qty())));
            }
            if (worth.compareTo(WORTH_LIMIT) >= 0) {
                throw new IllegalArgumentException("items: must be worth less than " + WORTH_LIMIT + " together");
            }
        }
    }

    /** Paid, shipped, delivered and cancelled: what they carry besides is not looked at. */
    record Plain(
            @JsonProperty("event_id") @JsonDeserialize(using = Fields.Id.class) String eventId,
            @JsonProperty("timestamp") @JsonDeserialize(using = Fields.Timestamp.class) LocalDateTime timestamp,
            @JsonProperty("order_id") @JsonDeserialize(using = Fields.Id.class) String orderId,
            @JsonProperty("customer_id") @JsonDeserialize(using = Fields.Id.class) String customerId)
            implements OrderEvent {
        public Plain {
            Fields.common(eventId, timestamp, orderId, customerId);
        }
    }

    record Refunded(
            @JsonProperty("event_id") @JsonDeserialize(using = Fields.Id.class) String eventId,
            @JsonProperty("timestamp") @JsonDeserialize(using = Fields.Timestamp.class) LocalDateTime timestamp,
            @JsonProperty("order_id") @JsonDeserialize(using = Fields.Id.class) String orderId,
            @JsonProperty("customer_id") @JsonDeserialize(using = Fields.Id.class) String customerId,
            @JsonProperty("amount") @JsonDeserialize(using = Fields.AmountReader.class) Amount amount)
            implements OrderEvent {
        public Refunded {
            Fields.common(eventId, timestamp, orderId, customerId);
            if (amount != null && amount.value().signum() == 0) {
                throw new IllegalArgumentException("amount: must be an amount above zero");
            }
        }
    }
}
