using Postwright.Core.Seams;
using Postwright.Simulation.Engine;

namespace Postwright.Simulation.Disk;

/// <summary>
/// The disk that outlives the processes: files, and the names they have now and after a power cut. A change of a name is
/// durable when its directory is synced; a cut leaves the first few of those that were not.
/// </summary>
internal sealed class Platter
{
    private readonly Dictionary<string, SimNode> _names = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SimNode> _durable = new(StringComparer.Ordinal);
    private readonly List<NameChange> _unsynced = [];
    private int _files;

    /// <summary>Bytes that all files may have together.</summary>
    public required long Capacity { get; init; }

    public long Used => _names.Values.Sum(static node => node.Length);

    /// <summary>
    /// True when so many bytes fit. Space that a truncation gave back is used only once that cannot be undone any more, as a
    /// file system does.
    /// </summary>
    public bool HasRoomFor(long growth)
    {
        if (Used + growth > Capacity)
        {
            return false;
        }

        if (_names.Values.Sum(static node => Math.Max(node.Length, node.PlatterLength)) + growth > Capacity)
        {
            foreach (SimNode node in _names.Values)
            {
                node.KeepTruncated();
            }
        }

        return true;
    }

    /// <summary>Handles that are open now.</summary>
    public int OpenHandles { get; set; }

    /// <summary>The most that were open at once, but for one of each segment: as many of those are open as there are.</summary>
    public int MostHandles { get; private set; }

    /// <summary>Segments, and files that wait to become some.</summary>
    public int Segments => _names.Keys.Count(IsSegment);

    public IEnumerable<KeyValuePair<string, SimNode>> Files => _names.OrderBy(static name => name.Key, StringComparer.Ordinal);

    /// <summary>The names of files with open handles; a file without a name is called so.</summary>
    public IEnumerable<string> OpenNames() => Files.Where(static file => file.Value.Handles > 0).Select(static file => file.Key).DefaultIfEmpty("a file without a name");

    /// <summary>A file was opened once more.</summary>
    public void Opened()
    {
        OpenHandles++;
        int segments = _names.Count(static file => file.Value.Handles > 0 && IsSegment(file.Key));
        MostHandles = Math.Max(MostHandles, OpenHandles - segments);
    }

    public SimNode? Find(string path) => _names.GetValueOrDefault(path);

    public SimNode Create(string path)
    {
        var node = new SimNode(++_files);
        _names[path] = node;
        _unsynced.Add(new NameChange(path, null, node));
        return node;
    }

    public void Rename(string from, string to)
    {
        if (!_names.Remove(from, out SimNode? node))
        {
            throw new DiskException("rename", from, DiskException.NoSuchFile);
        }

        _names[to] = node;
        _unsynced.Add(new NameChange(to, from, node));
    }

    public void Delete(string path)
    {
        if (_names.Remove(path))
        {
            _unsynced.Add(new NameChange(path, path, null));
        }
    }

    public void SyncDirectory(string directory)
    {
        for (int i = 0; i < _unsynced.Count;)
        {
            if (Path.GetDirectoryName(_unsynced[i].Name) == directory)
            {
                Apply(_unsynced[i]);
                _unsynced.RemoveAt(i);
            }
            else
            {
                i++;
            }
        }
    }

    public IReadOnlyList<string> List(string directory) =>
        [.. _names.Keys.Where(name => Path.GetDirectoryName(name) == directory).Select(static name => Path.GetFileName(name)!).Order(StringComparer.Ordinal)];

    /// <summary>kill -9: locks and handles go, what was written stays.</summary>
    public void Kill()
    {
        OpenHandles = 0;
        foreach (SimNode node in _names.Values)
        {
            node.Kill();
        }
    }

    /// <summary>A power cut.</summary>
    public void CutPower(Rng chance)
    {
        OpenHandles = 0;
        int kept = chance.Next(3) switch { 0 => 0, 1 => _unsynced.Count, _ => chance.Next(_unsynced.Count + 1) };
        foreach (NameChange change in _unsynced.Take(kept))
        {
            Apply(change);
        }

        _unsynced.Clear();
        _names.Clear();
        HashSet<SimNode> cut = [];
        foreach ((string name, SimNode node) in _durable.OrderBy(static name => name.Key, StringComparer.Ordinal))
        {
            _names[name] = node;
            if (cut.Add(node))
            {
                node.CutPower(chance);
            }
        }
    }

    private void Apply(NameChange change)
    {
        if (change.OldName is { } old)
        {
            _durable.Remove(old);
        }

        if (change.Node is { } node)
        {
            _durable[change.Name] = node;
        }
    }

    private static bool IsSegment(string path) => path.EndsWith(".log", StringComparison.Ordinal) || path.Contains("/free-", StringComparison.Ordinal);

    private readonly record struct NameChange(string Name, string? OldName, SimNode? Node);
}
