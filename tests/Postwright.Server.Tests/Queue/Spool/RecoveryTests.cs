using System.Text;
using Postwright.Core.Seams;
using Postwright.Server.Queue;
using Postwright.Testing.Disk;

#pragma warning disable CA2012 // The simulated disk decides when an append completes; a task in between would hide that.

namespace Postwright.Server.Tests.Queue.Spool;

/// <summary>What a start makes of changes of a message that are there in part.</summary>
public sealed class RecoveryTests : SimulatedSpoolTests
{
    [Fact]
    public void A_change_that_only_the_kernel_had_and_threw_away_when_its_sync_failed_damages_nothing()
    {
        string id = AppendTo("list@one.test", "b@two.test");
        string segment = Segment();
        byte[] synced = [.. _disk.Bytes(segment)];
        _ = _spool.RecordAsync([new RecipientExpanded(id, 0, [new EnvelopeRecipient("x@one.test", "list@one.test")])], urgent: true);
        Assert.True(_disk.IsBatchPending);
        _disk.Kill();

        bool failed = false;
        _disk.Fault = (call, _) =>
        {
            if (call != DiskCall.Sync || failed)
            {
                return 0;
            }

            failed = true;
            synced.CopyTo(_disk.Bytes(segment).AsSpan());
            return DiskException.InputOutput;
        };
        _spool = Open();

        Assert.True(failed);
        using StoredMessage stored = Load(id);
        Assert.Equal(["list@one.test", "b@two.test"], stored.Envelope.Recipients.Select(recipient => recipient.Address));
        Assert.All(stored.States, state => Assert.Equal(RecipientStatus.Pending, state.Status));
        Assert.Equal(QueueName.Incoming, Assert.Single(_spool.Entries()).Queue);
    }

    [Fact]
    public void Members_of_a_list_are_not_lost_with_the_damaged_expansion_of_another()
    {
        string id = AppendTo("first@one.test", "second@one.test");
        _ = _spool.RecordAsync([new RecipientExpanded(id, 0, [new EnvelopeRecipient("x@one.test", "first@one.test")])], urgent: true);
        Settle();
        _ = _spool.RecordAsync([new RecipientExpanded(id, 1, [new EnvelopeRecipient("y@one.test", "second@one.test"), new EnvelopeRecipient("z@one.test", "second@one.test")])], urgent: true);
        Settle();
        _ = _spool.RecordAsync([new RecipientsDone(id, [3])], urgent: true);
        Settle();
        _disk.Kill();
        byte[] bytes = _disk.Bytes(Segment());
        bytes[bytes.AsSpan().IndexOf("x@one.test"u8)] ^= 1;
        _spool = Open();

        // Both are expanded once more: a second copy for some, and nobody is forgotten.
        using StoredMessage stored = Load(id);
        Assert.Equal(["first@one.test", "second@one.test"], stored.Envelope.Recipients.Select(recipient => recipient.Address));
        Assert.All(stored.States, state => Assert.Equal(RecipientStatus.Pending, state.Status));
        Assert.Contains(_log, line => line.Contains("is damaged from byte", StringComparison.Ordinal));
    }

    private string AppendTo(params string[] recipients)
    {
        string id = _spool.NewQueueId();
        ValueTask<StoreStatus> stored = _spool.AppendAsync(SpoolFolder.Message(id, recipients), new MemoryContent(Encoding.ASCII.GetBytes("Subject: x\r\n\r\nx\r\n")), CancellationToken.None);
        Settle();
        Assert.True(stored.IsCompletedSuccessfully);
        return id;
    }

    private StoredMessage Load(string id) => _spool.LoadAsync(id, CancellationToken.None).AsTask().GetAwaiter().GetResult()!;

    private string Segment() => Assert.Single(Segments());
}
