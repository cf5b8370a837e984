using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;

namespace Postwright.Server.Tests.Queue.Spool;

/// <summary>A queue directory on the real disk, deleted at the end.</summary>
internal sealed class SpoolFolder : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("postwright-spool-").FullName;

    public SpoolFolder()
    {
        Options = new SpoolOptions
        {
            Directory = Path.Combine(_root, "spool"),
            CorruptDirectory = Path.Combine(_root, "corrupt"),
            SegmentBytes = 1 << 20,
        };
    }

    public SpoolOptions Options { get; set; }

    public LinuxDisk Disk { get; } = new();

    public LinesSink Log { get; } = new();

    public string[] Files(string pattern) => Directory.GetFiles(Options.Directory, pattern);

    /// <summary>Opens the spool. A process that another test is just starting has a copy of every descriptor until its exec, and so of an earlier spool's lock.</summary>
    public async Task<Server.Queue.Spool.Spool> OpenAsync(IDisk? disk = null)
    {
        long begun = Environment.TickCount64;
        while (true)
        {
            try
            {
                return await OpenOnceAsync(disk);
            }
            catch (SpoolInUseException) when (Environment.TickCount64 - begun < 90_000)
            {
                await Task.Delay(2);
            }
        }
    }

    /// <summary>Opens the spool unless it is in use.</summary>
    public Task<Server.Queue.Spool.Spool> OpenOnceAsync(IDisk? disk = null) =>
        Server.Queue.Spool.Spool.OpenAsync(Options, disk ?? Disk, new SystemChance(), TimeProvider.System, new MailLog(Log, "postfix/qmgr", 1));

    public void Dispose() => Directory.Delete(_root, recursive: true);

    public static Envelope Message(string queueId, params string[] recipients) => new()
    {
        QueueId = queueId,
        Arrival = new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero),
        Sender = "sender@example.com",
        Recipients = [.. (recipients.Length == 0 ? ["user@example.org"] : recipients).Select(r => new EnvelopeRecipient(r, r))],
        Origin = new MessageOrigin("client.example.com", "192.0.2.1", "4242", "helo.example.com", "ESMTP"),
    };

    /// <summary>Content that can be told from any other by its name.</summary>
    public static byte[] Text(string name, int length = 1000)
    {
        byte[] text = new byte[length];
        for (int i = 0; i < length; i++)
        {
            text[i] = (byte)(name[i % name.Length] + (i / name.Length % 7));
        }

        return text;
    }

    public static async Task<string> AppendAsync(Server.Queue.Spool.Spool spool, Func<string, Envelope>? make = null, int length = 1000)
    {
        string id = spool.NewQueueId();
        using ContentWriter writer = spool.CreateContent();
        await writer.WriteAsync(Text(id, length), CancellationToken.None);
        StoreStatus status = await spool.AppendAsync((make ?? (static id => Message(id)))(id), await writer.CompleteAsync(), CancellationToken.None);
        Assert.Equal(StoreStatus.Stored, status);
        return id;
    }

    public static async Task<byte[]> ReadAsync(MessageContent content)
    {
        byte[] bytes = new byte[content.Length];
        for (int done = 0; done < bytes.Length;)
        {
            int count = await content.ReadAsync(done, bytes.AsMemory(done, Math.Min(10_000, bytes.Length - done)), CancellationToken.None);
            Assert.NotEqual(0, count);
            done += count;
        }

        return bytes;
    }

    /// <summary>Log lines, for the tests to look at.</summary>
    internal sealed class LinesSink(List<string> lines) : ILogSink
    {
        private readonly List<string> _lines = lines;

        public LinesSink()
            : this([])
        {
        }

        public string[] Lines
        {
            get
            {
                lock (_lines)
                {
                    return [.. _lines];
                }
            }
        }

        public void Write(LogLevel level, string tag, int number, string text)
        {
            lock (_lines)
            {
                _lines.Add(text);
            }
        }
    }
}
