package peer;

import java.math.BigDecimal;
import java.math.RoundingMode;

/** An amount as it was written. `exact` is false for a JSON number with a point: it may carry binary noise. */
public record Amount(BigDecimal value, boolean exact) {
    static final long LIMIT = 1_000_000_000_000L;
    private static final int NOISE_DECIMALS = 6;

    /** Return the amount with the decimals of its currency; one that has more is refused. */
    Amount in(int decimals, String field) {
        if (value.scale() == decimals) {
            return this;
        }
        BigDecimal rounded = value.setScale(decimals, RoundingMode.HALF_EVEN);
        BigDecimal noise = value.subtract(rounded).abs();
        BigDecimal allowed = exact ? BigDecimal.ZERO : BigDecimal.ONE.movePointLeft(decimals + NOISE_DECIMALS);
        if (noise.compareTo(allowed) > 0) {
            throw new IllegalArgumentException(field + ": must have at most " + decimals + " decimals, got " + value);
        }
        return new Amount(rounded, true);
    }
}
