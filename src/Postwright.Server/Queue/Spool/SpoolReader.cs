using Postwright.Core.Seams;

namespace Postwright.Server.Queue.Spool;

/// <summary>
/// The queue read directly, for postqueue, postcat and qshape while the mail system is down. Takes no lock and changes
/// nothing on disk; beside a running system it may see a state that is a moment old.
/// </summary>
public sealed class SpoolReader : IDisposable
{
    private readonly SpoolIndex _index = new();
    private readonly StoredMessages _messages;

    /// <summary>Reads the spool.</summary>
    /// <exception cref="DiskException">It cannot be read: no permission, or the disk failed.</exception>
    public SpoolReader(SpoolOptions options, IDisk disk)
    {
        var recovery = new SpoolRecovery(options, disk, _index, log: null, readOnly: true);
        try
        {
            recovery.Run();
        }
        catch
        {
            Dispose();
            throw;
        }

        Damages = recovery.Damages;
        _messages = new StoredMessages(_index, new ContentFiles(options, disk, new SystemChance()), new Lock(), disk, corruptDirectory: null, log: null);
    }

    /// <summary>What is damaged.</summary>
    public IReadOnlyList<SpoolDamage> Damages { get; }

    /// <summary>Everything queued, in order of arrival.</summary>
    public IReadOnlyList<QueueEntry> Entries() => _messages.Entries();

    /// <summary>Reads a message; null if there is none of that ID.</summary>
    /// <exception cref="IOException">The disk failed, or the message is damaged.</exception>
    public StoredMessage? Load(string queueId) => _messages.Load(queueId);

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (Segment segment in _index.Segments.Values)
        {
            segment.Dispose();
        }

        _index.Segments.Clear();
    }
}
