package dev.savepoints.helper;

import java.io.File;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource;
import org.apache.flink.client.program.PackagedProgram;
import org.apache.flink.client.program.PackagedProgramUtils;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.GlobalConfiguration;
import org.apache.flink.runtime.OperatorIDPair;
import org.apache.flink.runtime.jobgraph.JobGraph;
import org.apache.flink.runtime.jobgraph.JobVertex;
import org.apache.flink.runtime.jobgraph.OperatorID;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.ObjectMapper;
import org.apache.flink.shaded.jackson2.com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.streaming.api.graph.StreamGraph;
import org.apache.flink.streaming.api.graph.StreamGraphHasherV2;
import org.apache.flink.streaming.api.graph.StreamNode;
import org.apache.flink.util.ExceptionUtils;

/**
 * Says which operators a job will have, without running it: the job's own {@code main()} is called as Flink's plan
 * preview does, up to its first {@code execute()}. Chained operators are listed, too, which Flink's own plan only names.
 *
 * <p>Called by {@code POST /jars/:id/plan}. The answer is the name of the plan that comes back: JSON, {@code
 * {"operators": [...]}} or {@code {"failure": {"kind": ..., "message": ...}}}. So it takes the way of an ordinary answer,
 * and nothing is submitted.
 *
 * <p>Arguments: the job's jar, its entry class ({@code -}: the one of its manifest), its parallelism, the milliseconds that
 * its {@code main()} may take, then its own arguments. Never two of these at once on a JobManager: Flink keeps the context
 * of a program in static fields.
 */
public final class Preflight {
  private static final int OWN_ARGUMENTS = 4;
  private static final int TOLD_FRAMES = 5;
  private static final ObjectMapper JSON = new ObjectMapper();

  private Preflight() {}

  public static void main(String[] args) throws Exception {
    if (args.length < OWN_ARGUMENTS) {
      throw new IllegalArgumentException("expected: JAR CLASS|- PARALLELISM MILLISECONDS [ARGUMENT...]");
    }
    // Taken first: the job's own program takes its place, and leaves none.
    StreamExecutionEnvironment env = StreamExecutionEnvironment.getExecutionEnvironment();
    String answer = JSON.writeValueAsString(answer(args));
    env.fromSource(new NumberSequenceSource(1, 1), WatermarkStrategy.noWatermarks(), "answer")
        .sinkTo(new DiscardingSink<>());
    env.execute(answer);
  }

  /** A program that does not end is left behind in its thread; its JobManager is not used for anything else then. */
  private static ObjectNode answer(String[] args) throws InterruptedException {
    FutureTask<ObjectNode> task = new FutureTask<>(() -> operators(args));
    Thread thread = new Thread(task, "preflight");
    thread.setDaemon(true);
    thread.setContextClassLoader(Thread.currentThread().getContextClassLoader());
    thread.start();
    try {
      return task.get(Long.parseLong(args[3]), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      return failure(e.getCause());
    } catch (TimeoutException e) {
      StringBuilder where = new StringBuilder("main() did not end within " + args[3] + " ms; it is at ");
      String separator = "";
      StackTraceElement[] frames = thread.getStackTrace();
      for (StackTraceElement frame : Arrays.asList(frames).subList(0, Math.min(TOLD_FRAMES, frames.length))) {
        where.append(separator).append(frame);
        separator = ", called by ";
        if (frame.getMethodName().equals("main")) {
          break;
        }
      }
      return failure("TimedOut", where.toString());
    }
  }

  private static ObjectNode failure(Throwable failure) {
    // It caught what ends a preview, or never came to an execute().
    boolean noGraph =
        ExceptionUtils.findThrowableWithMessage(failure, "pre-maturely").isPresent()
            || ExceptionUtils.findThrowable(failure, e -> e.getClass().getSimpleName().equals("ProgramAbortException"))
                .isPresent();
    return failure(noGraph ? "NoGraph" : "MainFailed", ExceptionUtils.stringifyException(failure));
  }

  private static ObjectNode failure(String kind, String message) {
    ObjectNode answer = JSON.createObjectNode();
    answer.putObject("failure").put("kind", kind).put("message", message);
    return answer;
  }

  private static ObjectNode operators(String[] args) throws Exception {
    String directory = System.getenv("FLINK_CONF_DIR");
    Configuration configuration =
        directory == null ? new Configuration() : GlobalConfiguration.loadConfiguration(directory);
    PackagedProgram.Builder builder =
        PackagedProgram.newBuilder()
            .setJarFile(new File(args[0]))
            .setConfiguration(configuration)
            .setArguments(Arrays.copyOfRange(args, OWN_ARGUMENTS, args.length));
    if (!args[1].equals("-")) {
      builder.setEntryPointClassName(args[1]);
    }
    ClassLoader before = Thread.currentThread().getContextClassLoader();
    try (PackagedProgram program = builder.build()) {
      StreamGraph graph =
          (StreamGraph)
              PackagedProgramUtils.getPipelineFromProgram(program, configuration, Integer.parseInt(args[2]), false);
      ClassLoader userCode = program.getUserCodeClassLoader();
      // Serialisers and functions of the job are looked at here.
      Thread.currentThread().setContextClassLoader(userCode);
      return describe(graph, graph.getJobGraph(userCode, null));
    } finally {
      Thread.currentThread().setContextClassLoader(before);
    }
  }

  /** The ids are those of the job graph, which is what a JobManager restores by; uids and names stand in the stream graph. */
  private static ObjectNode describe(StreamGraph graph, JobGraph job) {
    Map<Integer, byte[]> hashes = new StreamGraphHasherV2().traverseStreamGraphAndGenerateHashes(graph);
    Map<OperatorID, StreamNode> nodes = new HashMap<>();
    for (StreamNode node : graph.getStreamNodes()) {
      nodes.put(new OperatorID(hashes.get(node.getId())), node);
    }
    ObjectNode answer = JSON.createObjectNode();
    var operators = answer.putArray("operators");
    for (JobVertex vertex : job.getVerticesSortedTopologicallyFromSources()) {
      for (OperatorIDPair pair : vertex.getOperatorIDs()) {
        StreamNode node = nodes.get(pair.getGeneratedOperatorID());
        ObjectNode operator = operators.addObject().put("id", pair.getGeneratedOperatorID().toString());
        pair.getUserDefinedOperatorID().ifPresent(id -> operator.put("uidHash", id.toString()));
        operator.put("parallelism", vertex.getParallelism());
        // Flink's -1: the job does not set it.
        if (vertex.getMaxParallelism() > 0) {
          operator.put("maxParallelism", vertex.getMaxParallelism());
        }
        if (node != null) {
          operator.put("uid", node.getTransformationUID()).put("name", node.getOperatorName());
          operator.put("generated", node.getTransformationUID() == null && node.getUserHash() == null);
        }
      }
    }
    return answer;
  }
}
