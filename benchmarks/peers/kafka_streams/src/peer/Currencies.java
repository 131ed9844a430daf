package peer;

import java.util.HashMap;
import java.util.Map;

/** The currencies of models/money.py, each with the number of its decimals. */
final class Currencies {
    private static final Map<String, Integer> DECIMALS = new HashMap<>();

    static {
        add(0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF");
        add(2,
            "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
            + "CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD "
            + "HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK "
            + "MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD "
            + "RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH "
            + "USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG ");
        add(3, "BHD IQD JOD KWD LYD OMR TND");
        add(4, "CLF UYW");
    }

    private Currencies() {}

    static String known(String code) {
        if (!DECIMALS.containsKey(code)) {
            throw new IllegalArgumentException("currency: must be a currency code of ISO 4217, got " + code);
        }
        return code;
    }

    static int decimals(String code) {
        return DECIMALS.get(code);
    }

    private static void add(int decimals, String codes) {
        for (String code : codes.trim().split(" ")) {
            DECIMALS.put(code, decimals);
        }
    }
}
