namespace Postwright.Testing.Disk;

/// <summary>
/// What is on the platters after a prefix of a disk's history. <see cref="Advance"/> plays events; <see cref="Cut"/> gives
/// a disk as a power cut at this moment leaves it: of what was not synced, sectors are there, missing or torn at random,
/// and of the names that were not synced a random number of the first changes is there.
/// </summary>
public sealed class DiskImage
{
    private const int Sector = 512;

    private readonly Dictionary<int, byte[]> _files = [];
    private readonly Dictionary<int, List<DiskEvent>> _unsynced = [];
    private Dictionary<string, int> _names = [];
    private readonly List<DiskEvent> _unsyncedNames = [];

    private DiskImage()
    {
    }

    /// <summary>An image that begins with a disk's first state.</summary>
    public DiskImage(SimulatedDisk disk)
    {
        foreach ((string name, byte[] bytes) in disk.FirstFiles)
        {
            _names[name] = -1 - _names.Count;
            _files[_names[name]] = bytes;
        }
    }

    /// <summary>Plays one event. Chance decides what a failed sync leaves.</summary>
    public void Advance(DiskEvent happened, Random chance)
    {
        switch (happened.Kind)
        {
            case DiskEventKind.Write or DiskEventKind.Truncate:
                if (!_unsynced.TryGetValue(happened.File, out List<DiskEvent>? writes))
                {
                    _unsynced[happened.File] = writes = [];
                }

                writes.Add(happened);
                break;
            case DiskEventKind.Sync:
                foreach (DiskEvent write in Take(happened.File))
                {
                    Apply(write, 0, write.Length);
                }

                break;
            case DiskEventKind.FailedSync:
                Tear(Take(happened.File), chance);
                break;
            case DiskEventKind.SyncDirectory:
                ApplyNames(_unsyncedNames.Count);
                break;
            default:
                _unsyncedNames.Add(happened);
                break;
        }
    }

    /// <summary>The disk after a power cut now.</summary>
    public SimulatedDisk Cut(Random chance)
    {
        var copy = new DiskImage { _names = new Dictionary<string, int>(_names) };
        foreach ((int file, byte[] bytes) in _files)
        {
            copy._files[file] = [.. bytes];
        }

        copy._unsyncedNames.AddRange(_unsyncedNames);
        foreach (int file in _unsynced.Keys.Order())
        {
            copy.Tear(_unsynced[file], chance);
        }

        copy.ApplyNames(chance.Next(3) switch { 0 => 0, 1 => _unsyncedNames.Count, _ => chance.Next(_unsyncedNames.Count + 1) });
        return new SimulatedDisk(copy._names.Select(name => (name.Key, copy._files.GetValueOrDefault(name.Value, []))));
    }

    private List<DiskEvent> Take(int file) => _unsynced.Remove(file, out List<DiskEvent>? writes) ? writes : [];

    /// <summary>Puts some of what was written on the platter: nothing, all, or sectors at random, one of them torn.</summary>
    private void Tear(List<DiskEvent> writes, Random chance)
    {
        int mode = chance.Next(4);
        foreach (DiskEvent write in writes)
        {
            if (write.Kind == DiskEventKind.Truncate && chance.Next(2) == 0)
            {
                Apply(write, 0, 0);
            }

            for (int start = 0; start < write.Length && mode != 0;)
            {
                int length = Math.Min(write.Length - start, Sector - (int)((write.Offset + start) % Sector));
                int kind = mode == 1 ? 1 : chance.Next(mode == 2 ? 2 : 8);
                if (kind >= 1)
                {
                    int torn = kind == 7 ? chance.Next(length + 1) : length;
                    Apply(write, start, torn);
                }

                start += length;
            }
        }
    }

    private void Apply(DiskEvent write, int start, int length)
    {
        byte[] file = _files.GetValueOrDefault(write.File, []);
        if (write.Kind == DiskEventKind.Truncate)
        {
            _files[write.File] = file[..(int)Math.Min(file.Length, write.Offset)];
            return;
        }

        long end = write.Offset + start + length;
        if (file.Length < end)
        {
            Array.Resize(ref file, (int)end);
        }

        Span<byte> target = file.AsSpan((int)write.Offset + start, length);
        if (write.Bytes is null)
        {
            target.Clear();
        }
        else
        {
            write.Bytes.AsSpan(start, length).CopyTo(target);
        }

        _files[write.File] = file;
    }

    private void ApplyNames(int count)
    {
        foreach (DiskEvent change in _unsyncedNames.Take(count))
        {
            switch (change.Kind)
            {
                case DiskEventKind.Create:
                    _names[change.Name] = change.File;
                    break;
                case DiskEventKind.Rename:
                    _names.Remove(change.OldName);
                    _names[change.Name] = change.File;
                    break;
                default:
                    _names.Remove(change.Name);
                    break;
            }
        }

        _unsyncedNames.RemoveRange(0, count);
    }
}
