using System.Globalization;
using System.Text;
using Postwright.Core.Records;
using Postwright.Core.Seams;
using Postwright.Simulation.Engine;

namespace Postwright.Simulation.World;

/// <summary>
/// The maildrop directory, which outlives the processes: what a local user's postdrop has finished is synced and stays; a file
/// that pickup has removed may be there again after a power cut.
/// </summary>
internal sealed class SimMaildrop(SimWorld world, Rng chance)
{
    private readonly SortedDictionary<string, DroppedFile> _files = new(StringComparer.Ordinal);
    private readonly List<(DroppedFile File, long At)> _removed = [];
    private ulong _inodes = 1000;

    /// <summary>Files that wait.</summary>
    public int Count => _files.Count;

    /// <summary>Local users submit a message: from now on it is ours.</summary>
    public void Submit(MessagePlan message)
    {
        DateTimeOffset now = SimWorld.Start + TimeSpan.FromTicks(world.Scheduler.Now) + world.ClockOffset;
        ulong inode = ++_inodes;
        string name = QueueFileName.Of(now, inode, longId: true);
        byte[] bytes = Records(message);
        _files[name] = new DroppedFile(new MaildropEntry(name, new FileStatus(0x81E4, 1, 1000, 1000, inode, bytes.Length, now.ToUnixTimeSeconds())), bytes);
        world.Ledger.Submitted(message, name);
        world.Count("local submission");
        world.History.Note("postdrop", $"m{message.Number} is maildrop/{name}");
    }

    /// <summary>A removal is durable only some time after it was made.</summary>
    public void CutPower()
    {
        foreach ((DroppedFile file, long at) in _removed)
        {
            // File systems write their journals every few seconds, whoever asks for it.
            if (world.Scheduler.Now - at < TimeSpan.TicksPerMinute && chance.Percent(50))
            {
                world.Count("maildrop file back after a power cut");
                _files[file.Entry.Name] = file;
            }
        }

        _removed.Clear();
    }

    public IMaildrop For(Life life) => new View(this, life);

    private byte[] Records(MessagePlan message)
    {
        MemoryStream bytes = new();
        RecordWriter writer = new(bytes);
        writer.WriteBytes(RecordType.Attribute, "rewrite_context=local");
        writer.WriteBytes(RecordType.Sender, message.Sender);
        foreach (string recipient in message.Recipients)
        {
            writer.WriteBytes(RecordType.Recipient, recipient);
        }

        writer.WriteBytes(RecordType.Message, "");
        foreach (string line in Encoding.ASCII.GetString(Letter.Content(world.Plan.Seed, message, 1)).Split("\r\n")[..^1])
        {
            writer.WriteBytes(RecordType.Line, line);
        }

        writer.WriteBytes(RecordType.Extracted, "");
        writer.WriteBytes(RecordType.End, "");
        writer.Flush();
        return bytes.ToArray();
    }

    private sealed record DroppedFile(MaildropEntry Entry, byte[] Bytes);

    private sealed class View(SimMaildrop maildrop, Life life) : IMaildrop
    {
        public bool Exists => true;

        public IEnumerable<MaildropEntry> Ready() => life.IsDead ? [] : [.. maildrop._files.Values.Select(static file => file.Entry)];

        public Stream? Open(MaildropEntry entry) =>
            maildrop._files.TryGetValue(entry.Name, out DroppedFile? file) ? new MemoryStream(file.Bytes, writable: false) : null;

        public bool Remove(MaildropEntry entry)
        {
            if (life.IsDead)
            {
                return true;
            }

            if (maildrop.Fails())
            {
                return false;
            }

            if (maildrop._files.Remove(entry.Name, out DroppedFile? file))
            {
                maildrop._removed.Add((file, life.World.Scheduler.Now));
                maildrop._removed.RemoveRange(0, Math.Max(0, maildrop._removed.Count - 3));
                maildrop.NoteRemoval(entry.Name, life);
            }

            life.DiskEvent();
            return true;
        }

        public void SyncRemovals() => maildrop.SyncRemovals(life);
    }

    private void SyncRemovals(Life life)
    {
        life.DiskEvent();
        if (!life.IsDead && !Fails())
        {
            _removed.Clear();
        }
    }

    private bool Fails() => world.DiskFaults.FailingNames > 0 && chance.Percent(world.DiskFaults.FailingNames);

    private void NoteRemoval(string name, Life life)
    {
        world.History.Note(life.Name, string.Create(CultureInfo.InvariantCulture, $"maildrop/{name} removed"));
        world.Ledger.MaildropRemoved(name);
    }
}
