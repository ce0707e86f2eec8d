package connector;

import java.lang.management.ManagementFactory;
import java.util.concurrent.CountDownLatch;

/** A JVM to take thread dumps of; with the argument "deadlock" two of its threads wait for each other. */
public final class Server {
    public static void main(String[] arguments) throws Exception {
        if (arguments.length > 0 && arguments[0].equals("deadlock")) {
            deadlock();
        }
        System.out.println("ready");
        System.out.flush();
        // The process ends with whoever holds the other end of its standard input.
        while (System.in.read() >= 0) {
        }
    }

    private static void deadlock() {
        Object left = new Object();
        Object right = new Object();
        CountDownLatch both = new CountDownLatch(2);
        lock("event-writer", left, right, both);
        lock("queue-reader", right, left, both);
        while (ManagementFactory.getThreadMXBean().findDeadlockedThreads() == null) {
            Thread.onSpinWait();
        }
    }

    private static void lock(String name, Object first, Object second, CountDownLatch both) {
        Thread thread = new Thread(() -> {
            synchronized (first) {
                both.countDown();
                try {
                    both.await();
                } catch (InterruptedException stopped) {
                    return;
                }
                synchronized (second) {
                    throw new AssertionError("nobody lets go");
                }
            }
        }, name);
        thread.setDaemon(true);
        thread.start();
    }
}
