using System.Collections.Concurrent;

namespace Postwright.Simulation;

/// <summary>Runs many worlds, several at a time, each on a thread of its own.</summary>
internal static class SeedRunner
{
    /// <summary>Runs the seeds; the results come in the order in which they end.</summary>
    /// <param name="first">The first seed.</param>
    /// <param name="seeds">How many.</param>
    /// <param name="hours">Simulated hours of load.</param>
    /// <param name="jobs">Threads.</param>
    /// <param name="ended">Told of each; false ends the run.</param>
    public static void Run(ulong first, int seeds, double hours, int jobs, Func<SeedRun, bool> ended)
    {
        int next = 0;
        bool stop = false;
        Lock gate = new();
        ConcurrentQueue<Exception> bugs = new();
        Thread[] threads = [.. Enumerable.Range(0, Math.Min(jobs, seeds)).Select(_ => new Thread(Work, 16 << 20) { IsBackground = true, Name = "world" })];
        Array.ForEach(threads, static thread => thread.Start());
        Array.ForEach(threads, static thread => thread.Join());
        if (bugs.TryDequeue(out Exception? bug))
        {
            throw new InvalidOperationException("the runner failed", bug);
        }

        void Work()
        {
            try
            {
                while (!Volatile.Read(ref stop) && Interlocked.Increment(ref next) is var number && number <= seeds)
                {
                    SeedRun run = SeedRun.Of(first + (ulong)number - 1, hours);
                    lock (gate)
                    {
                        stop |= !ended(run);
                    }
                }
            }
            catch (Exception failure)
            {
                bugs.Enqueue(failure);
                Volatile.Write(ref stop, true);
            }
        }
    }
}
