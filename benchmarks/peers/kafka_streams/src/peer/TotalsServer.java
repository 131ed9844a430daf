package peer;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.Executors;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.errors.InvalidStateStoreException;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.ReadOnlyKeyValueStore;

/** Answers `/totals/{customer}` by an interactive query, and `/status`. */
final class TotalsServer {
    private static final int THREADS = 4;

    private final KafkaStreams streams;
    private final Restoring restoring;

    TotalsServer(KafkaStreams streams, Restoring restoring) {
        this.streams = streams;
        this.restoring = restoring;
    }

    void start(int port) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.setExecutor(Executors.newFixedThreadPool(THREADS, task -> {
            Thread thread = new Thread(task, "http");
            thread.setDaemon(true);
            return thread;
        }));
        server.createContext("/totals/", this::totals);
        server.createContext("/status", this::status);
        server.start();
    }

    private void totals(HttpExchange exchange) throws IOException {
        String path = exchange.getRequestURI().getRawPath();
        String customer = URLDecoder.decode(path.substring("/totals/".length()), StandardCharsets.UTF_8);
        try {
            ReadOnlyKeyValueStore<String, Totals> store = streams.store(
                    StoreQueryParameters.fromNameAndType(Main.STORE, QueryableStoreTypes.keyValueStore()));
            Totals totals = store.get(customer);
            answer(exchange, totals == null ? 404 : 200, totals);
        } catch (InvalidStateStoreException notReady) {
            answer(exchange, 503, null);
        }
    }

    private void status(HttpExchange exchange) throws IOException {
        answer(exchange, 200, Map.of(
                "state", streams.state().name(),
                "rows_restored", restoring.rows(),
                "restore_seconds", restoring.seconds()));
    }

    private static void answer(HttpExchange exchange, int status, Object value) throws IOException {
        byte[] body = Json.MAPPER.writeValueAsBytes(value);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(status, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
