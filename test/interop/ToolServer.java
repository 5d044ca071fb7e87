// Runs Kafka's command-line tools one after another in one virtual machine: a tool costs a tenth of a second
// then, not two. Each gets its own stdin, stdout and stderr, and its exit is caught through Kafka's own Exit class.
// A line on stdin is `ID CLASS STDIN ARGUMENT...`, the answer a line `REPLY ID STATUS STDOUT STDERR`; STDIN,
// ARGUMENTs, STDOUT and STDERR are base64 with a leading `.`, so that none is empty.
package org.apache.kafka.interop;

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;

public final class ToolServer {
  private static final class Ended extends Error {
    Ended() {
      super("the tool has ended", null, false, false);
    }
  }

  private static final List<Runnable> HOOKS = new ArrayList<>();
  private static Integer status;

  /** The class is on the boot class path, so Kafka's classes are reached by reflection alone. */
  private static void catchExits(ClassLoader loader) throws Exception {
    Class<?> exit = loader.loadClass("org.apache.kafka.common.utils.Exit");
    Class<?> procedure = loader.loadClass("org.apache.kafka.common.utils.Exit$Procedure");
    Class<?> adder = loader.loadClass("org.apache.kafka.common.utils.Exit$ShutdownHookAdder");
    Object end = Proxy.newProxyInstance(loader, new Class<?>[] {procedure}, (proxy, method, args) -> {
      if (status == null) status = (Integer) args[0];
      throw new Ended();
    });
    Object add = Proxy.newProxyInstance(loader, new Class<?>[] {adder}, (proxy, method, args) -> {
      HOOKS.add((Runnable) args[1]);
      return null;
    });
    exit.getMethod("setExitProcedure", procedure).invoke(null, end);
    exit.getMethod("setHaltProcedure", procedure).invoke(null, end);
    exit.getMethod("setShutdownHookAdder", adder).invoke(null, add);
  }

  private static void call(ClassLoader loader, String name, String[] arguments) throws Throwable {
    Method main = loader.loadClass(name).getMethod("main", String[].class);
    try {
      main.invoke(null, (Object) arguments);
      if (status == null) status = 0;
    } catch (InvocationTargetException e) {
      if (e.getCause() instanceof Ended) return;
      if (status == null) status = 1;
      throw e.getCause();
    } finally {
      for (Runnable hook : new ArrayList<>(HOOKS)) hook.run();
      HOOKS.clear();
    }
  }

  private static byte[] decode(String word) {
    return Base64.getDecoder().decode(word.substring(1));
  }

  private static String encode(ByteArrayOutputStream bytes) {
    return "." + Base64.getEncoder().encodeToString(bytes.toByteArray());
  }

  public static void main(String[] ignored) throws Exception {
    ClassLoader loader = ClassLoader.getSystemClassLoader();
    catchExits(loader);
    PrintStream replies = System.out;
    BufferedReader requests = new BufferedReader(new InputStreamReader(System.in));
    for (String line = requests.readLine(); line != null; line = requests.readLine()) {
      String[] words = line.split(" ");
      String[] arguments = new String[words.length - 3];
      for (int i = 0; i < arguments.length; i++) arguments[i] = new String(decode(words[i + 3]), "UTF-8");
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      ByteArrayOutputStream err = new ByteArrayOutputStream();
      status = null;
      System.setIn(new ByteArrayInputStream(decode(words[2])));
      System.setOut(new PrintStream(out, true));
      System.setErr(new PrintStream(err, true));
      try {
        call(loader, words[1], arguments);
      } catch (Throwable e) {
        e.printStackTrace(System.err);
      }
      System.out.flush();
      System.err.flush();
      replies.println("REPLY " + words[0] + " " + status + " " + encode(out) + " " + encode(err));
      replies.flush();
    }
    Runtime.getRuntime().halt(0);
  }
}
