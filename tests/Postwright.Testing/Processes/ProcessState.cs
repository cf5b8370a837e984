namespace Postwright.Testing.Processes;

/// <summary>What the threads of a process are doing. The first thread's state alone says nothing of the others.</summary>
public static class ProcessState
{
    /// <summary>True once it holds no file, socket or lock any more: it is gone, or its threads are, and only its number is kept.</summary>
    public static bool HasEnded(int process) => Of(process, "stat", static stat => stat[stat.LastIndexOf(')') + 2]).All(static state => state is 'Z' or 'X');

    /// <summary>True when all its threads stand still, stopped by a signal.</summary>
    public static bool IsStopped(int process) => Of(process, "stat", static stat => stat[stat.LastIndexOf(')') + 2]).All(static state => state == 'T');

    /// <summary>True when all its threads are traced by <paramref name="tracer"/>.</summary>
    public static bool IsTracedBy(int process, int tracer) => Of(process, "status", static status => status).All(status => status.Contains($"\nTracerPid:\t{tracer}\n", StringComparison.Ordinal));

    private static List<T> Of<T>(int process, string file, Func<string, T> read)
    {
        List<T> threads = [];
        foreach (string thread in Threads(process))
        {
            try
            {
                threads.Add(read(File.ReadAllText(Path.Combine(thread, file))));
            }
            catch (IOException)
            {
                // It has ended since the directory was read.
            }
        }

        return threads;
    }

    private static string[] Threads(int process)
    {
        try
        {
            return Directory.GetDirectories($"/proc/{process}/task");
        }
        catch (IOException)
        {
            return [];
        }
    }
}
