package dev.savepoints.jobs;

import java.io.FileOutputStream;
import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.util.ratelimit.RateLimiterStrategy;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.runtime.state.FunctionInitializationContext;
import org.apache.flink.runtime.state.FunctionSnapshotContext;
import org.apache.flink.streaming.api.checkpoint.CheckpointedFunction;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;

/**
 * Counts the numbers 0, 1, 2, … and appends one line a number to a file:
 *
 * <pre>{@code <epoch_ms> <s> <c> <jobId>}</pre>
 *
 * where {@code s} is the number (kept by the source) and {@code c} the count (kept in keyed state).
 * If both came back from the same snapshot, {@code c = s + 1} holds on every line. See README.md.
 *
 * <p>Arguments: {@code --out FILE}, {@code --rate R} (numbers a second), {@code --source-uid UID},
 * {@code --state-mib N} (state to carry along), {@code --variant} {@code base|adds|drops|throws|hangs|exits|crashes|twice}.
 */
public final class CountingJob {
  private static final Map<String, String> DEFAULTS =
      Map.of(
          "out", "/records/records",
          "rate", "50",
          "source-uid", "numbers",
          "state-mib", "0",
          "variant", "base");

  private CountingJob() {}

  public static void main(String[] args) throws Exception {
    Map<String, String> options = parse(args);
    String variant = options.get("variant");

    StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
    GeneratorFunction<Long, Long> identity = index -> index;
    DataGeneratorSource<Long> numbers =
        new DataGeneratorSource<>(
            identity,
            Long.MAX_VALUE,
            RateLimiterStrategy.perSecond(Double.parseDouble(options.get("rate"))),
            Types.LONG);
    // One subtask, whatever the job's parallelism: several would each count up a range of their own.
    DataStream<Long> stream =
        env.fromSource(numbers, WatermarkStrategy.noWatermarks(), "numbers")
            .uid(options.get("source-uid"))
            .setParallelism(1)
            .keyBy(number -> 0L)
            .process(new Count(options.get("out")))
            .uid("count")
            .name("count");
    int mebibytes = Integer.parseInt(options.get("state-mib"));
    if (mebibytes > 0) {
      stream =
          stream.keyBy(count -> 0L).process(new Ballast(mebibytes)).uid("ballast").name("ballast");
    }
    switch (variant) {
      case "base":
        stream = sum(stream, "totals");
        break;
      case "adds":
        stream = sum(sum(stream, "totals"), "extra");
        break;
      case "drops":
        break;
      case "twice":
        stream = sum(stream, "totals");
        stream.sinkTo(new DiscardingSink<>()).uid("first-sink").name("first-sink");
        env.executeAsync("counting");
        break;
      case "hangs":
        Thread.sleep(Long.MAX_VALUE);
        break;
      case "exits":
        System.exit(3);
        break;
      case "crashes":
        crash();
        break;
      case "throws":
        throw new IllegalStateException("counting job: main() throws, as --variant throws asks");
      default:
        throw new IllegalArgumentException(
            "--variant " + variant + ": give one of base, adds, drops, throws, hangs, exits, crashes, twice");
    }
    stream.sinkTo(new DiscardingSink<>()).uid("sink").name("sink");
    env.execute("counting");
  }

  private static Map<String, String> parse(String[] args) {
    Map<String, String> options = new TreeMap<>(DEFAULTS);
    for (int i = 0; i < args.length; i += 2) {
      String name = args[i].startsWith("--") ? args[i].substring(2) : "";
      if (!DEFAULTS.containsKey(name)) {
        throw new IllegalArgumentException(
            "unknown argument " + args[i] + ": known are --" + String.join(", --", options.keySet()));
      }
      if (i + 1 == args.length) {
        throw new IllegalArgumentException("argument " + args[i] + " has no value");
      }
      options.put(name, args[i + 1]);
    }
    return options;
  }

  /** Ends the process as a fault of native code does, past all that Flink does about exits. */
  private static void crash() throws ReflectiveOperationException {
    Class<?> type = Class.forName("sun.misc.Unsafe");
    Field field = type.getDeclaredField("theUnsafe");
    field.setAccessible(true);
    type.getMethod("putAddress", long.class, long.class).invoke(field.get(null), 0L, 0L);
  }

  private static DataStream<Long> sum(DataStream<Long> stream, String uid) {
    return stream.keyBy(number -> 0L).process(new Sum()).uid(uid).name(uid);
  }

  /** Counts, and writes the record file. */
  private static final class Count extends KeyedProcessFunction<Long, Long, Long>
      implements CheckpointedFunction, CheckpointListener {
    private final String file;
    private transient ValueState<Long> count;
    private transient FileOutputStream out;
    private transient String lineEnd;
    private transient boolean counted;

    Count(String file) {
      this.file = file;
    }

    @Override
    public void open(OpenContext context) throws Exception {
      count = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.LONG));
      lineEnd = " " + getRuntimeContext().getJobInfo().getJobId() + "\n";
      out = new FileOutputStream(file, true);
    }

    @Override
    public void processElement(Long number, Context context, Collector<Long> next)
        throws Exception {
      while (Files.exists(beside("held"))) {
        Thread.sleep(20);
      }
      Long before = count.value();
      long now = before == null ? 1 : before + 1;
      count.update(now);
      counted = true;
      // One write(2) a line: a killed TaskManager leaves whole lines only.
      String line = System.currentTimeMillis() + " " + number + " " + now + lineEnd;
      out.write(line.getBytes(StandardCharsets.UTF_8));
      next.collect(now);
    }

    /** FILE.slow: how many milliseconds it takes where there are data. FILE.fails: it fails. */
    @Override
    public void snapshotState(FunctionSnapshotContext context) throws Exception {
      if (counted) {
        pause("slow");
      }
      Path fails = beside("fails");
      if (Files.exists(fails)) {
        throw new IOException("counting job: snapshotState() throws, as " + fails + " asks");
      }
    }

    /** FILE.commit: how many milliseconds it takes. */
    @Override
    public void notifyCheckpointComplete(long checkpoint) throws Exception {
      pause("commit");
    }

    private void pause(String word) throws Exception {
      Path milliseconds = beside(word);
      if (Files.exists(milliseconds)) {
        Thread.sleep(Long.parseLong(Files.readString(milliseconds).trim()));
      }
    }

    private Path beside(String word) {
      return Path.of(file + "." + word);
    }

    @Override
    public void initializeState(FunctionInitializationContext context) {}

    @Override
    public void close() throws Exception {
      if (out != null) {
        out.close();
      }
    }
  }

  /** Adds up what it sees: a further operator with state. */
  private static final class Sum extends KeyedProcessFunction<Long, Long, Long> {
    private transient ValueState<Long> total;

    @Override
    public void open(OpenContext context) {
      total = getRuntimeContext().getState(new ValueStateDescriptor<>("total", Types.LONG));
    }

    @Override
    public void processElement(Long number, Context context, Collector<Long> next)
        throws Exception {
      Long before = total.value();
      total.update(before == null ? number : before + number);
      next.collect(number);
    }
  }

  /** Carries state of a size along: written at the first count, and missed if it does not come back. */
  private static final class Ballast extends KeyedProcessFunction<Long, Long, Long> {
    private static final int BYTES = 1024;
    private final int entries;
    private transient MapState<Integer, byte[]> ballast;
    private transient boolean there;

    Ballast(int mebibytes) {
      entries = mebibytes * (1024 * 1024 / BYTES);
    }

    @Override
    public void open(OpenContext context) {
      MapStateDescriptor<Integer, byte[]> descriptor =
          new MapStateDescriptor<>(
              "ballast", Types.INT, PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO);
      ballast = getRuntimeContext().getMapState(descriptor);
    }

    @Override
    public void processElement(Long count, Context context, Collector<Long> next)
        throws Exception {
      if (!there) {
        there = ballast.contains(entries - 1);
        if (!there) {
          fill(count);
        }
      }
      next.collect(count);
    }

    private void fill(Long count) throws Exception {
      if (count > 1) {
        throw new IllegalStateException("counting job: the ballast is lost at count " + count);
      }
      SplittableRandom random = new SplittableRandom(1); // what does not compress
      for (int entry = 0; entry < entries; entry++) {
        byte[] bytes = new byte[BYTES];
        random.nextBytes(bytes);
        ballast.put(entry, bytes);
      }
      there = true;
    }
  }
}
