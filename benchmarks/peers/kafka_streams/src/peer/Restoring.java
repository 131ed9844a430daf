package peer;

import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.streams.processor.StateRestoreListener;

/** Counts the rows that are read back, and how long that takes from the first store's begin to the last one's end. */
final class Restoring implements StateRestoreListener {
    private final AtomicLong rows = new AtomicLong();
    private volatile long begin;
    private volatile long end;

    @Override
    public synchronized void onRestoreStart(TopicPartition partition, String store, long from, long to) {
        if (begin == 0) {
            begin = System.nanoTime();
        }
    }

    @Override
    public void onBatchRestored(TopicPartition partition, String store, long to, long count) {
        rows.addAndGet(count);
    }

    @Override
    public void onRestoreEnd(TopicPartition partition, String store, long total) {
        end = System.nanoTime();
    }

    long rows() {
        return rows.get();
    }

    double seconds() {
        return end == 0 ? 0 : (end - begin) / 1e9;
    }
}
