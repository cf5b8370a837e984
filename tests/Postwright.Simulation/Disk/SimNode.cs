using Postwright.Simulation.Engine;

namespace Postwright.Simulation.Disk;

/// <summary>
/// A file as the kernel and the platter have it: pages that readers see, and pages that a power cut leaves. A page that was
/// written and not synced has both; one that is clean is shared. What was never written costs nothing.
/// </summary>
internal sealed class SimNode(int number)
{
    public const int PageSize = 4096;
    private const int Sector = 512;
    private readonly Dictionary<int, byte[]> _seen = [];
    private readonly Dictionary<int, byte[]> _platter = [];
    private readonly SortedSet<int> _dirty = [];

    public int Number { get; } = number;

    /// <summary>Bytes in the file, as readers see it.</summary>
    public long Length { get; private set; }

    /// <summary>The same after a power cut.</summary>
    public long PlatterLength { get; private set; }

    /// <summary>The process that holds the lock, or null.</summary>
    public object? LockedBy { get; set; }

    /// <summary>Open handles.</summary>
    public int Handles { get; set; }

    public bool IsDirty => _dirty.Count > 0 || Length != PlatterLength;

    /// <summary>Where the last good sync wrote: nothing behind it proves that it was there.</summary>
    public (long From, long To) LastSync { get; private set; }

    public int Read(Span<byte> buffer, long offset) => Read(_seen, Length, buffer, offset);

    /// <summary>Reads what a power cut would leave.</summary>
    public int ReadPlatter(Span<byte> buffer, long offset) => Read(_platter, PlatterLength, buffer, offset);

    public void Write(ReadOnlySpan<byte> bytes, long offset)
    {
        Length = Math.Max(Length, offset + bytes.Length);
        while (!bytes.IsEmpty)
        {
            int page = (int)(offset / PageSize);
            int at = (int)(offset % PageSize);
            int count = Math.Min(bytes.Length, PageSize - at);
            bytes[..count].CopyTo(PageToWrite(page).AsSpan(at));
            bytes = bytes[count..];
            offset += count;
        }
    }

    public void Extend(long length) => Length = Math.Max(Length, length);

    /// <summary>Ends the file at a page; the platter has the rest until a sync, or until the space is needed.</summary>
    public void Truncate(long length)
    {
        Length = length;
        int end = (int)(length / PageSize);
        foreach (int page in _seen.Keys.Where(page => page >= end).ToArray())
        {
            _seen.Remove(page);
            _dirty.Remove(page);
        }
    }

    /// <summary>The shorter length is durable: the journal was written.</summary>
    public void KeepTruncated()
    {
        if (PlatterLength > Length)
        {
            PlatterLength = Length;
            int end = (int)(Length / PageSize);
            foreach (int page in _platter.Keys.Where(page => page >= end).ToArray())
            {
                _platter.Remove(page);
            }
        }
    }

    /// <summary>The runs of dirty pages, as the platter will have them.</summary>
    public IEnumerable<byte[]> DirtyRuns()
    {
        List<byte[]> run = [];
        int last = -2;
        foreach (int page in _dirty)
        {
            if (page != last + 1 && run.Count > 0)
            {
                yield return Join(run);
                run.Clear();
            }

            run.Add(_seen[page]);
            last = page;
        }

        if (run.Count > 0)
        {
            yield return Join(run);
        }
    }

    /// <summary>A good sync.</summary>
    public void Sync()
    {
        if (_dirty.Count > 0)
        {
            LastSync = ((long)_dirty.Min * PageSize, ((long)_dirty.Max + 1) * PageSize);
        }

        foreach (int page in _dirty)
        {
            _platter[page] = _seen[page];
        }

        _dirty.Clear();
        KeepTruncated();
        PlatterLength = Length;
    }

    /// <summary>The kernel writes a page back on its own account.</summary>
    public void WriteBack(Rng chance)
    {
        foreach (int page in _dirty)
        {
            if (chance.Percent(50))
            {
                _platter[page] = [.. _seen[page]];
                PlatterLength = Math.Max(PlatterLength, Math.Min(Length, ((long)page + 1) * PageSize));
            }
        }
    }

    /// <summary>
    /// A sync that failed: of each dirty page anything may be on the platter; no later sync will write it, and the kernel may
    /// have thrown it away.
    /// </summary>
    public void FailSync(Rng chance)
    {
        bool forgets = chance.Percent(40);
        Settle(chance, forgets ? 100 : 0);
        _dirty.Clear();
    }

    /// <summary>A power cut: of each dirty page anything is on the platter, and readers see what is.</summary>
    public void CutPower(Rng chance)
    {
        Settle(chance, 100);
        _dirty.Clear();
        if (PlatterLength != Length && chance.Percent(50))
        {
            KeepTruncated();
            PlatterLength = Length;
        }

        foreach (int page in _platter.Keys.Where(page => (long)page * PageSize >= Length))
        {
            // It was cut off, and is there again.
            _seen[page] = _platter[page];
        }

        Length = PlatterLength;
        LockedBy = null;
        Handles = 0;
    }

    /// <summary>The process is killed: the kernel goes on.</summary>
    public void Kill()
    {
        LockedBy = null;
        Handles = 0;
    }

    /// <summary>Turns one bit, for readers and on the platter; false if the place was never written.</summary>
    public bool Rot(long offset, int bit)
    {
        int page = (int)(offset / PageSize);
        if (!_platter.TryGetValue(page, out byte[]? bytes) || _dirty.Contains(page))
        {
            return false;
        }

        byte[] rotten = [.. bytes];
        rotten[offset % PageSize] ^= (byte)(1 << bit);
        _platter[page] = _seen[page] = rotten;
        return true;
    }

    /// <summary>Offsets of bytes that are not zero, for rot to pick from.</summary>
    public List<int> WrittenPages() => [.. _platter.Keys.Order()];

    /// <summary>Puts some of what was written on the platter: nothing, all, sectors at random, or sectors of which one is torn.</summary>
    private void Settle(Rng chance, int forget)
    {
        int mode = chance.Next(4);
        foreach (int page in _dirty)
        {
            byte[] written = _seen[page];
            byte[] result = mode == 1 ? written : Mixed(_platter.GetValueOrDefault(page), written, mode, chance);
            _platter[page] = result;
            if (chance.Percent(forget))
            {
                _seen[page] = result;
            }
            else if (!ReferenceEquals(result, written))
            {
                // What readers see differs from the platter, and nothing will ever write it.
                _seen[page] = [.. written];
            }

            if (mode != 0)
            {
                PlatterLength = Math.Max(PlatterLength, Math.Min(Length, ((long)page + 1) * PageSize));
            }
        }
    }

    private static byte[] Mixed(byte[]? old, byte[] written, int mode, Rng chance)
    {
        byte[] page = old is null ? new byte[PageSize] : [.. old];
        for (int start = 0; start < PageSize && mode != 0; start += Sector)
        {
            int kind = chance.Next(mode == 2 ? 2 : 8);
            if (kind >= 1)
            {
                int length = kind == 7 ? chance.Next(Sector + 1) : Sector;
                written.AsSpan(start, length).CopyTo(page.AsSpan(start));
            }
        }

        return page;
    }

    private byte[] PageToWrite(int page)
    {
        bool known = _seen.TryGetValue(page, out byte[]? bytes);
        if (!known)
        {
            _seen[page] = bytes = new byte[PageSize];
            _dirty.Add(page);
        }
        else if (_dirty.Add(page))
        {
            _seen[page] = bytes = [.. bytes!];
        }

        return bytes!;
    }

    private static int Read(Dictionary<int, byte[]> pages, long length, Span<byte> buffer, long offset)
    {
        int count = (int)Math.Clamp(length - offset, 0, buffer.Length);
        for (int done = 0; done < count;)
        {
            int page = (int)((offset + done) / PageSize);
            int at = (int)((offset + done) % PageSize);
            int part = Math.Min(count - done, PageSize - at);
            if (pages.TryGetValue(page, out byte[]? bytes))
            {
                bytes.AsSpan(at, part).CopyTo(buffer[done..]);
            }
            else
            {
                buffer.Slice(done, part).Clear();
            }

            done += part;
        }

        return count;
    }

    private static byte[] Join(List<byte[]> pages)
    {
        byte[] all = new byte[pages.Count * PageSize];
        for (int i = 0; i < pages.Count; i++)
        {
            pages[i].CopyTo(all, i * PageSize);
        }

        return all;
    }
}
