package peer;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.databind.DeserializationContext;
import com.fasterxml.jackson.databind.deser.std.StdDeserializer;
import java.io.IOException;
import java.math.BigDecimal;
import java.time.LocalDateTime;

/** One deserializer for each type of field: how a value may be written, and what it must be. */
final class Fields {
    private Fields() {}

    static void present(String field, Object value) {
        if (value == null) {
            throw new IllegalArgumentException(field + ": is missing");
        }
    }

    static void common(String eventId, LocalDateTime timestamp, String orderId, String customerId) {
        present("event_id", eventId);
        present("timestamp", timestamp);
        present("order_id", orderId);
        present("customer_id", customerId);
    }

    /** Text or a whole number, 1 to 255 characters, no control characters. */
    static final class Id extends StdDeserializer<String> {
        Id() {
            super(String.class);
        }

        @Override
        public String deserialize(JsonParser parser, DeserializationContext context) throws IOException {
            JsonToken token = parser.currentToken();
            if (token != JsonToken.VALUE_STRING && token != JsonToken.VALUE_NUMBER_INT) {
                return (String) context.handleUnexpectedToken(String.class, parser);
            }
            String text = parser.getText();
            int length = text.length();
            if (length == 0 || (length > 255 && text.codePointCount(0, length) > 255)) {
                return (String) context.handleWeirdStringValue(String.class, text, "must have 1 to 255 characters");
            }
            for (int at = 0; at < length; at++) {
                char c = text.charAt(at);
                if (c < 0x20 || c == 0x7f) {
                    return (String) context.handleWeirdStringValue(String.class, text, "holds a control character");
                }
                if (Character.isSurrogate(c)) {
                    boolean pair = Character.isHighSurrogate(c) && at + 1 < length
                            && Character.isLowSurrogate(text.charAt(at + 1));
                    if (!pair) {
                        return (String) context.handleWeirdStringValue(String.class, text, "holds half a character");
                    }
                    at++;
                }
            }
            return text;
        }
    }

    /** A time of ISO 8601; without an offset it means UTC. */
    static final class Timestamp extends StdDeserializer<LocalDateTime> {
        Timestamp() {
            super(LocalDateTime.class);
        }

        @Override
        public LocalDateTime deserialize(JsonParser parser, DeserializationContext context) throws IOException {
            if (parser.currentToken() != JsonToken.VALUE_STRING) {
                return (LocalDateTime) context.handleUnexpectedToken(LocalDateTime.class, parser);
            }
            return Times.inUtc(parser.getText());
        }
    }

    /** A code of ISO 4217. */
    static final class Currency extends StdDeserializer<String> {
        Currency() {
            super(String.class);
        }

        @Override
        public String deserialize(JsonParser parser, DeserializationContext context) throws IOException {
            if (parser.currentToken() != JsonToken.VALUE_STRING) {
                return (String) context.handleUnexpectedToken(String.class, parser);
            }
            return Currencies.known(parser.getText());
        }
    }

    /** A whole number from 1 to a million, as a number or as text. */
    static final class Quantity extends StdDeserializer<Integer> {
        Quantity() {
            super(Integer.class);
        }

        @Override
        public Integer deserialize(JsonParser parser, DeserializationContext context) throws IOException {
            long quantity;
            if (parser.currentToken() == JsonToken.VALUE_NUMBER_INT) {
                quantity = parser.getLongValue();
            } else if (parser.currentToken() == JsonToken.VALUE_STRING) {
                String text = parser.getText();
                if (text.isEmpty() || text.length() > 18 || !text.chars().allMatch(c -> c >= '0' && c <= '9')) {
                    return (Integer) context.handleWeirdStringValue(Integer.class, text, "must be a whole number");
                }
                quantity = Long.parseLong(text);
            } else {
                return (Integer) context.handleUnexpectedToken(Integer.class, parser);
            }
            if (quantity < 1 || quantity > 1_000_000) {
                throw new IllegalArgumentException("qty: must be 1 to 1,000,000, got " + quantity);
            }
            return (int) quantity;
        }
    }

    /** An amount: text of up to 12 digits and a fraction, or a number; not negative. */
    static final class AmountReader extends StdDeserializer<Amount> {
        AmountReader() {
            super(Amount.class);
        }

        @Override
        public Amount deserialize(JsonParser parser, DeserializationContext context) throws IOException {
            switch (parser.currentToken()) {
                case VALUE_STRING: {
                    String text = parser.getText();
                    if (!isAmount(text)) {
                        return (Amount) context.handleWeirdStringValue(Amount.class, text, "must be an amount");
                    }
                    return new Amount(new BigDecimal(text), true);
                }
                case VALUE_NUMBER_INT:
                    return new Amount(bounded(parser.getDecimalValue()), true);
                case VALUE_NUMBER_FLOAT:
                    return new Amount(bounded(parser.getDecimalValue()), false);
                default:
                    return (Amount) context.handleUnexpectedToken(Amount.class, parser);
            }
        }

        private static BigDecimal bounded(BigDecimal value) {
            if (value.signum() < 0 || value.compareTo(OrderEvent.WORTH_LIMIT) >= 0) {
                throw new IllegalArgumentException("must be at least 0 and below " + Amount.LIMIT + ", got " + value);
            }
            return value;
        }

        private static boolean isAmount(String text) {
            int length = text.length();
            int at = 0;
            while (at < length && isDigit(text.charAt(at))) {
                at++;
            }
            if (at == 0 || at > 12) {
                return false;
            }
            if (at == length) {
                return true;
            }
            if (text.charAt(at) != '.' || at + 1 == length) {
                return false;
            }
            for (at++; at < length; at++) {
                if (!isDigit(text.charAt(at))) {
                    return false;
                }
            }
            return true;
        }

        private static boolean isDigit(char c) {
            return c >= '0' && c <= '9';
        }
    }
}
