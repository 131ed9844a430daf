package peer;

import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.state.KeyValueStore;

/**
 * The simple job on Kafka Streams: validate every event fully, keep one total per customer in a RocksDB store.
 *
 * <p>Arguments: bootstrap servers, application id, topic, guarantee (exactly_once_v2 or at_least_once), state folder,
 * port of the HTTP server, and any other settings as name=value.
 */
public final class Main {
    static final String STORE = "totals";

    private Main() {}

    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, arguments[3]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1);
        for (int at = 6; at < arguments.length; at++) {
            String[] parts = arguments[at].split("=", 2);
            settings.put(parts[0], parts[1]);
        }

        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(arguments[2], Consumed.with(Serdes.String(), Json.serde(OrderEvent.class)))
                .groupByKey(Grouped.with(Serdes.String(), Json.serde(OrderEvent.class)))
                .aggregate(
                        Totals::none,
                        (customer, event, totals) -> totals.with(event),
                        Materialized.<String, Totals, KeyValueStore<Bytes, byte[]>>as(STORE)
                                .withKeySerde(Serdes.String())
                                .withValueSerde(Json.serde(Totals.class)));

        KafkaStreams streams = new KafkaStreams(builder.build(), settings);
        Restoring restoring = new Restoring();
        streams.setGlobalStateRestoreListener(restoring);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
        new TotalsServer(streams, restoring).start(Integer.parseInt(arguments[5]));
    }
}
