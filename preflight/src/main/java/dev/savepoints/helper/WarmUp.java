package dev.savepoints.helper;

import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;

/**
 * A throw-away job that makes a fresh cluster load what a real job needs in its first seconds: the
 * tasks and network stack, keyed state, and the checkpoint storage with its file system. An upgrade
 * runs it on the new cluster before the old job is stopped, so that its time is no downtime.
 *
 * <p>Bounded, and as wide as the submission says: the caller sets the parallelism to the number of
 * slots, so that every TaskManager is reached, and the checkpoint directory.
 *
 * <p>Arguments, all optional: {@code --records N} (default 200, over all subtasks), {@code
 * --pause-ms MS} (default 2: pause after each record, so that checkpoints run while records flow).
 */
public final class WarmUp {
  private static final int KEYS = 128;
  private static final long CHECKPOINT_INTERVAL_MS = 50;

  private WarmUp() {}

  public static void main(String[] args) throws Exception {
    long records = 200;
    long pauseMs = 2;
    for (int i = 0; i < args.length; i += 2) {
      if (i + 1 == args.length) {
        throw new IllegalArgumentException("argument " + args[i] + " has no value");
      }
      switch (args[i]) {
        case "--records":
          records = positive(args[i], args[i + 1]);
          break;
        case "--pause-ms":
          pauseMs = positive(args[i], args[i + 1]);
          break;
        default:
          throw new IllegalArgumentException(
              "unknown argument " + args[i] + ": known are --records, --pause-ms");
      }
    }

    StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
    env.enableCheckpointing(CHECKPOINT_INTERVAL_MS);
    env.fromSource(
            new NumberSequenceSource(1, records), WatermarkStrategy.noWatermarks(), "numbers")
        .uid("numbers")
        .keyBy(number -> number % KEYS)
        .process(new Remember(pauseMs))
        .uid("remember")
        .name("remember")
        .sinkTo(new DiscardingSink<>())
        .uid("sink")
        .name("sink");
    env.execute("warm-up");
  }

  private static long positive(String name, String value) {
    long number = Long.parseLong(value);
    if (number < 1) {
      throw new IllegalArgumentException(name + " " + value + ": give a number of at least 1");
    }
    return number;
  }

  /** Writes each record to keyed state and hands it on. */
  private static final class Remember extends KeyedProcessFunction<Long, Long, Long> {
    private final long pauseMs;
    private transient ValueState<Long> last;

    Remember(long pauseMs) {
      this.pauseMs = pauseMs;
    }

    @Override
    public void open(OpenContext context) {
      last = getRuntimeContext().getState(new ValueStateDescriptor<>("last", Types.LONG));
    }

    @Override
    public void processElement(Long number, Context context, Collector<Long> out) throws Exception {
      last.update(number);
      Thread.sleep(pauseMs);
      out.collect(number);
    }
  }
}
