using BenchmarkDotNet.Attributes;
using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;

namespace Postwright.Bench;

/// <summary>
/// A message of 1,000 bytes kept and removed again: alone, and a hundred at a time, which share a commit. On a disk in memory what is left is
/// the spool's own work; on the real disk the sync is in it. The removals ride on a later commit.
/// </summary>
public class SpoolBenchmarks
{
    private const int Batch = 100;

    private readonly byte[] _content = Samples.Data(1000);
    private readonly Task[] _tasks = new Task[Batch];
    private Spool _spool = null!;
    private string _root = "";

    /// <summary>Which disk.</summary>
    [Params("memory", "real")]
    public string Disk { get; set; } = "";

    [GlobalSetup]
    public async Task PrepareAsync()
    {
        // Not below /tmp, which may be in memory.
        _root = Directory.CreateDirectory(Path.Combine(AppContext.BaseDirectory, $"spool-{Environment.ProcessId}-{Disk}")).FullName;
        IDisk disk = Disk == "memory" ? new MemoryDisk() : new LinuxDisk();
        SpoolOptions options = new() { Directory = Path.Combine(_root, "spool"), CorruptDirectory = Path.Combine(_root, "corrupt"), SegmentBytes = 16 << 20 };
        _spool = await Spool.OpenAsync(options, disk, new SystemChance(), TimeProvider.System, new MailLog(new Warnings(), "postfix/qmgr", 1));
    }

    [GlobalCleanup]
    public async Task CleanUpAsync()
    {
        await _spool.DisposeAsync();
        Directory.Delete(_root, recursive: true);
    }

    [Benchmark(Description = "Spool, a message alone")]
    public Task OneAsync() => KeepAsync();

    [Benchmark(Description = "Spool, one of a hundred at a time", OperationsPerInvoke = Batch)]
    public Task HundredAsync()
    {
        for (int i = 0; i < Batch; i++)
        {
            _tasks[i] = KeepAsync();
        }

        return Task.WhenAll(_tasks);
    }

    private async Task KeepAsync()
    {
        string id = _spool.NewQueueId();
        using ContentWriter writer = _spool.CreateContent();
        await writer.WriteAsync(_content, CancellationToken.None);
        if (await _spool.AppendAsync(Samples.Envelope(id), await writer.CompleteAsync(), CancellationToken.None) != StoreStatus.Stored)
        {
            throw new InvalidOperationException("not stored");
        }

        _ = _spool.RecordAsync([new MessageRemoved(id)]);
    }

    private sealed class Warnings : ILogSink
    {
        public void Write(LogLevel level, string tag, int number, string text) => Console.Error.WriteLine(text);
    }
}
