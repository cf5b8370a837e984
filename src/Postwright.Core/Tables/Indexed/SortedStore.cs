using System.Buffers.Binary;
using System.Numerics;

namespace Postwright.Core.Tables.Indexed;

// A tree that is built from keys in their order is built without a search: each page is filled and never touched again. So what
// goes into a new file is gathered here, and put in when it is closed. A key that comes twice is told of when it comes, as by
// the file itself. The order is that of lmdb and btree: byte by byte, a key before those that begin with it.

/// <summary>Gathers the entries of a new file, and gives them to its store in the order of their keys.</summary>
internal sealed class SortedStore : IIndexStore
{
    private const int ChunkSize = 1 << 20;

    /// <summary>So few keys are compared whole, and all that are equal up to <see cref="Deepest"/>.</summary>
    private const int FewKeys = 12;

    /// <summary>A bound on recursion; the longest mail address has 320 bytes.</summary>
    private const int Deepest = 1024;

    private readonly IIndexStore _store;
    private readonly int _longestKey;
    private readonly List<byte[]> _chunks = [];
    private Entry[] _entries;
    private int[] _slots;
    private int _count;
    private int _used = ChunkSize;

    /// <param name="store">The new file's.</param>
    /// <param name="size">How many bytes of source there are.</param>
    /// <param name="longestKey">Keys that are longer, and empty ones, go to the store at once, for its error.</param>
    public SortedStore(IIndexStore store, long size, int longestKey)
    {
        const int ShortLine = 32;
        _store = store;
        _longestKey = longestKey;
        int lines = (int)Math.Clamp(size / ShortLine, 1 << 10, 1 << 24);
        _entries = new Entry[lines];
        _slots = new int[BitOperations.RoundUpToPowerOf2((uint)lines) * 2];
    }

    public bool? Put(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value, bool replace, out string? error)
    {
        error = null;
        if (key.IsEmpty || key.Length > _longestKey)
        {
            return _store.Put(key, value, replace, out error);
        }

        var hash = default(HashCode);
        hash.AddBytes(key);
        var entry = new Entry { Hash = hash.ToHashCode(), KeyLength = key.Length };
        ref int slot = ref SlotOf(entry.Hash, key);
        if (slot != 0 && !replace)
        {
            return false;
        }

        (entry.Chunk, entry.Offset) = Keep(key, value);
        entry.ValueLength = value.Length;
        int mask = _slots.Length - 1;
        if (slot != 0)
        {
            _entries[(slot & mask) - 1] = entry;
            return true;
        }

        if (_count == _entries.Length)
        {
            Array.Resize(ref _entries, _count * 2);
        }

        _entries[_count] = entry;
        slot = (entry.Hash & ~mask) | ++_count;
        if (_count * 2 > _slots.Length)
        {
            GrowSlots();
        }

        return true;
    }

    public bool? Delete(ReadOnlySpan<byte> key, out string? error)
    {
        var hash = default(HashCode);
        hash.AddBytes(key);
        bool found = SlotOf(hash.ToHashCode(), key) != 0;
        error = found ? "what was just put into a new file cannot be removed" : null;
        return found ? null : false;
    }

    public string? Close()
    {
        if (Flush() is { } error)
        {
            _store.Dispose();
            return error;
        }

        return _store.Close();
    }

    public void Dispose() => _store.Dispose();

    private ReadOnlySpan<byte> KeyOf(in Entry entry) => _chunks[entry.Chunk].AsSpan(entry.Offset, entry.KeyLength);

    /// <summary>
    /// The slot of that key, or the empty one for it. A slot holds the entry's number in the bits that choose a slot, counted from
    /// one, and the other bits of its hash above them: so other keys' entries need not be looked at.
    /// </summary>
    private ref int SlotOf(int hash, ReadOnlySpan<byte> key)
    {
        int mask = _slots.Length - 1;
        int at = hash & mask;
        while (_slots[at] is int slot and not 0
            && (((slot ^ hash) & ~mask) != 0 || !KeyOf(_entries[(slot & mask) - 1]).SequenceEqual(key)))
        {
            at = (at + 1) & mask;
        }

        return ref _slots[at];
    }

    private void GrowSlots()
    {
        _slots = new int[_slots.Length * 2];
        int mask = _slots.Length - 1;
        for (int i = 0; i < _count; i++)
        {
            int hash = _entries[i].Hash;
            int at = hash & mask;
            while (_slots[at] != 0)
            {
                at = (at + 1) & mask;
            }

            _slots[at] = (hash & ~mask) | (i + 1);
        }
    }

    private (int Chunk, int Offset) Keep(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        int length = key.Length + value.Length;
        if (length > ChunkSize - _used)
        {
            _chunks.Add(GC.AllocateUninitializedArray<byte>(Math.Max(ChunkSize, length)));
            _used = 0;
        }

        Span<byte> place = _chunks[^1].AsSpan(_used, length);
        key.CopyTo(place);
        value.CopyTo(place[key.Length..]);
        int offset = _used;
        _used = Math.Min(ChunkSize, _used + length);
        return (_chunks.Count - 1, offset);
    }

    private string? Flush()
    {
        int[] order = new int[_count];
        for (int i = 0; i < _count; i++)
        {
            order[i] = i;
        }

        Sort(order, new ulong[_count], 0);
        foreach (int index in order)
        {
            Entry entry = _entries[index];
            ReadOnlySpan<byte> all = _chunks[entry.Chunk].AsSpan(entry.Offset, entry.KeyLength + entry.ValueLength);
            if (_store.Put(all[..entry.KeyLength], all[entry.KeyLength..], replace: false, out string? error) is not true)
            {
                return error ?? "keys are out of order";
            }
        }

        return null;
    }

    /// <summary>Sorts by the eight bytes from <paramref name="depth"/> on; then those that are equal in these by the next eight.</summary>
    private void Sort(Span<int> order, Span<ulong> parts, int depth)
    {
        for (int i = 0; i < order.Length; i++)
        {
            parts[i] = Part(KeyOf(_entries[order[i]]), depth);
        }

        parts.Sort(order);
        for (int start = 0; start < order.Length;)
        {
            int end = start + 1;
            while (end < order.Length && parts[end] == parts[start])
            {
                end++;
            }

            Span<int> equal = order[start..end];
            if (equal.Length > FewKeys && depth >= Deepest)
            {
                equal.Sort((x, y) => KeyOf(_entries[x]).SequenceCompareTo(KeyOf(_entries[y])));
            }
            else if (equal.Length > FewKeys)
            {
                // Those that end within these eight bytes stand before those that go on. There are at most eight.
                int ended = MoveEnded(equal, depth + 8);
                SortFew(equal[..ended]);
                Sort(equal[ended..], parts[(start + ended)..end], depth + 8);
            }
            else if (equal.Length > 1)
            {
                SortFew(equal);
            }

            start = end;
        }
    }

    /// <summary>Moves keys of at most <paramref name="length"/> bytes to the front; how many there are.</summary>
    private int MoveEnded(Span<int> order, int length)
    {
        int ended = 0;
        for (int i = 0; i < order.Length; i++)
        {
            if (_entries[order[i]].KeyLength <= length)
            {
                (order[i], order[ended]) = (order[ended], order[i]);
                ended++;
            }
        }

        return ended;
    }

    private void SortFew(Span<int> order)
    {
        for (int i = 1; i < order.Length; i++)
        {
            int moved = order[i];
            int to = i;
            while (to > 0 && KeyOf(_entries[order[to - 1]]).SequenceCompareTo(KeyOf(_entries[moved])) > 0)
            {
                order[to] = order[--to];
            }

            order[to] = moved;
        }
    }

    private static ulong Part(ReadOnlySpan<byte> key, int depth)
    {
        ReadOnlySpan<byte> rest = key[Math.Min(depth, key.Length)..];
        if (rest.Length >= 8)
        {
            return BinaryPrimitives.ReadUInt64BigEndian(rest);
        }

        ulong part = 0;
        for (int i = 0; i < rest.Length; i++)
        {
            part |= (ulong)rest[i] << (56 - (8 * i));
        }

        return part;
    }

    /// <summary>Where an entry's key is, and its value behind it.</summary>
    private struct Entry
    {
        public int Hash;
        public int Chunk;
        public int Offset;
        public int KeyLength;
        public int ValueLength;
    }
}
