using System.Text;
using Microsoft.Extensions.Time.Testing;
using Postwright.Core.Records;
using Postwright.Core.Seams;
using Postwright.Server.Cleanup;
using Postwright.Server.Queue;
using Postwright.Server.Receive.Pickup;
using Postwright.Testing.Logging;

namespace Postwright.Server.Tests.Receive.Pickup;

/// <summary>A queue directory with a real maildrop in it, and a pickup that hands its messages to a list.</summary>
public sealed class MaildropFixture : ICleanup, IDisposable
{
    private readonly Lock _lock = new();
    private int _queueIds;

    public MaildropFixture()
    {
        Root = System.IO.Directory.CreateTempSubdirectory("postwright-pickup-").FullName;
        Maildrop = System.IO.Directory.CreateDirectory(Path.Combine(Root, "maildrop")).FullName;
        Directory = new MaildropDirectory(Maildrop, Log.For("pickup"));
        Pickup = PickupOf(Directory);
    }

    /// <summary>The directory as pickup sees it.</summary>
    public IMaildrop Directory { get; }

    public string Root { get; }

    public string Maildrop { get; }

    public FakeTimeProvider Clock { get; } = new(DateTimeOffset.UnixEpoch.AddYears(56));

    public LogLines Log { get; } = new();

    public PickupService Pickup { get; }

    /// <summary>What cleanup says of each message.</summary>
    public CleanupStatus Answer { get; set; } = CleanupStatus.Queued;

    public List<TakenMessage> Taken { get; } = [];

    public string[] FilesLeft => [.. System.IO.Directory.GetFiles(Maildrop).Select(Path.GetFileName).Order(StringComparer.Ordinal)!];

    /// <summary>Pickup on another view of the directory.</summary>
    public PickupService PickupOf(IMaildrop maildrop) => new(
        new PickupOptions { MyHostName = "host.example.com", MailName = "Postfix", OwnerUid = uint.MaxValue },
        maildrop, this, () => $"QUEUEID{Interlocked.Increment(ref _queueIds)}", Log.For("pickup"), Clock);

    /// <summary>Puts a finished file there.</summary>
    public string Drop(string name, params (byte Type, string Data)[] records)
    {
        var bytes = new MemoryStream();
        var writer = new RecordWriter(bytes);
        foreach ((byte type, string data) in records)
        {
            writer.WriteBytes(type, data);
        }

        writer.Flush();
        return DropBytes(name, bytes.ToArray());
    }

    public string DropBytes(string name, byte[] bytes)
    {
        string path = Path.Combine(Maildrop, name);
        File.WriteAllBytes(path, bytes);
        File.SetLastWriteTimeUtc(path, Clock.GetUtcNow().UtcDateTime);
        File.SetUnixFileMode(path, (UnixFileMode)0b111_100_100);
        return path;
    }

    /// <summary>A message as sendmail makes it.</summary>
    public string DropMessage(string name = "ABCDE123") => Drop(
        name, (RecordType.Attribute, "rewrite_context=local"), (RecordType.FullName, "Joe User"), (RecordType.Sender, "joe"),
        (RecordType.Recipient, "root"), (RecordType.Message, ""), (RecordType.Line, "Subject: test"), (RecordType.Line, ""), (RecordType.Line, "body"),
        (RecordType.Extracted, ""), (RecordType.End, ""));

    public ICleanupMessage Begin(Envelope envelope, CleanupOptions options) => new TakenMessage(this, envelope, options);

    public void Dispose() => System.IO.Directory.Delete(Root, recursive: true);

    public sealed class TakenMessage(MaildropFixture fixture, Envelope envelope, CleanupOptions options) : ICleanupMessage
    {
        private readonly MemoryStream _content = new();

        public Envelope Envelope => envelope;

        public CleanupOptions Options => options;

        public List<EnvelopeRecipient> Recipients { get; } = [];

        public string Content => Encoding.Latin1.GetString(_content.ToArray());

        public void AddRecipient(EnvelopeRecipient recipient)
        {
            Assert.Equal(0, _content.Length);
            Recipients.Add(recipient);
        }

        public ValueTask WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
        {
            _content.Write(bytes.Span);
            return ValueTask.CompletedTask;
        }

        public ValueTask<CleanupStatus> FinishAsync(CancellationToken cancellationToken)
        {
            lock (fixture._lock)
            {
                fixture.Taken.Add(this);
            }

            return ValueTask.FromResult(fixture.Answer);
        }

        public void Dispose()
        {
        }
    }
}
