using System.Buffers.Binary;
using Postwright.Core.Tables.Indexed;

namespace Postwright.Core.Tables.Lmdb;

// LMDB files (format 1, as all of 0.9 write them). The two first pages are the heads of the last two transactions; the newer
// one's tree is the table. Writers never change a page of the last committed tree, but they use pages of the one before it
// again, and a reader of ours stands in no reader table. So the heads are read again after each search that read from the
// file: as long as the newest is the one that the search began with, every page that it read was of that tree; else the
// answer counts for nothing. That needs no lock, and holds however a head was torn.
// Every step down is counted against the tree's depth, and a listing against the number of pages.

/// <summary>Reads <c>lmdb:</c> files.</summary>
internal sealed class LmdbReader(IndexFile file) : IndexReader
{
    private const uint Magic = 0xBEEFC0DE;
    private const int Header = 16;
    private const int MetaSize = 136;
    private const int MaxDepth = 32;
    private const int MaxItem = 16 << 20;
    private const ulong NoPage = ulong.MaxValue;
    private const ushort BranchPage = 1;
    private const ushort LeafPage = 2;
    private const ushort OverflowPage = 4;
    private const ushort MetaPage = 8;
    private const ushort KindMask = BranchPage | LeafPage | OverflowPage | MetaPage | 0x20 | 0x40;
    private const ushort BigValue = 1;

    private readonly byte[] _meta = new byte[MetaSize];
    private readonly List<byte[]> _scratch = [];
    private byte[] _heads = [];
    private byte[] _value = [];
    private int _pageSize;
    private ulong _lastPage;
    private ulong _root;
    private int _depth;
    private string? _damage;
    private long _pagesListed;

    public override string? Damage => _damage;

    public override bool ReadMeta()
    {
        _damage = null;
        file.Forget();
        _pageSize = 0;
        if (!ReadPageSize() || !ReadHeads(out ReadOnlySpan<byte> newest))
        {
            return false;
        }

        newest.CopyTo(_meta);

        // The main table's own record: flags (none: plain keys, one value each), depth, and root.
        int flags = BinaryPrimitives.ReadUInt16LittleEndian(_meta.AsSpan(76));
        _depth = BinaryPrimitives.ReadUInt16LittleEndian(_meta.AsSpan(78));
        _root = BinaryPrimitives.ReadUInt64LittleEndian(_meta.AsSpan(112));
        _lastPage = Math.Min(BinaryPrimitives.ReadUInt64LittleEndian(_meta.AsSpan(120)), (ulong)(file.Length / _pageSize));
        return (flags == 0 || Fail("unsupported kind of table")) && (_depth <= MaxDepth || Fail("the tree is too deep"));
    }

    public override IndexOutcome Find(ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value)
    {
        _damage = null;
        long reads = file.Reads;
        IndexOutcome outcome = Search(key, out value);
        if (file.Reads == reads || IsCurrent())
        {
            return outcome;
        }

        value = default;
        return ReadMeta() ? IndexOutcome.Changed : IndexOutcome.Damaged;
    }

    public override void List(IndexEntry entry)
    {
        _damage = null;
        _pagesListed = 0;
        if (_root != NoPage)
        {
            List(_root, 1, entry);
        }
    }

    private IndexOutcome Search(ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value)
    {
        value = default;
        if (_root == NoPage)
        {
            return IndexOutcome.NotFound;
        }

        ulong number = _root;
        for (int level = 1; level <= _depth; level++)
        {
            if (!ReadNode(number, level, out ReadOnlySpan<byte> page) || !Position(page, key, isLeaf: level == _depth, out int index, out bool exact))
            {
                return IndexOutcome.Damaged;
            }

            if (level == _depth)
            {
                return !exact ? IndexOutcome.NotFound : TryValue(page, index, out value) ? IndexOutcome.Found : IndexOutcome.Damaged;
            }

            // The last child whose key is not above the one that is looked for; the first child's key is not stored.
            number = Child(page, exact ? index : index - 1);
        }

        Fail("the tree has no leaves");
        return IndexOutcome.Damaged;
    }

    private bool List(ulong number, int level, IndexEntry entry)
    {
        if (_pagesListed++ > (long)_lastPage)
        {
            return Fail("a tree of pages has no end");
        }

        if (!ReadNode(number, level, out ReadOnlySpan<byte> page))
        {
            return false;
        }

        // A page is listed once it is known to be of the tree that the listing began with.
        if (!IsCurrent())
        {
            return Fail("it was changed while it was read");
        }

        int entries = Entries(page);
        for (int i = 0; i < entries; i++)
        {
            int at = NodeAt(page, i);
            if (at < 0)
            {
                return false;
            }

            if (level < _depth)
            {
                if (!List(Child(page, i), level + 1, entry))
                {
                    return false;
                }
            }
            else if (!TryValue(page, i, out ReadOnlySpan<byte> value))
            {
                return false;
            }
            else
            {
                entry(page.Slice(at + 8, KeyLength(page, at)), value);
            }
        }

        return true;
    }

    private bool ReadPageSize()
    {
        Span<byte> head = stackalloc byte[Header + MetaSize];
        if (file.Read(head, 0) < head.Length || BinaryPrimitives.ReadUInt32LittleEndian(head[Header..]) != Magic)
        {
            return Fail("it is not an LMDB file");
        }

        uint size = BinaryPrimitives.ReadUInt32LittleEndian(head[(Header + 24)..]);
        if (size is < 256 or > 65536 || (size & (size - 1)) != 0)
        {
            return Fail($"bad page size {size}");
        }

        _pageSize = (int)size;
        _heads = new byte[_pageSize + Header + MetaSize];
        _scratch.Clear();
        return true;
    }

    private bool ReadHeads(out ReadOnlySpan<byte> newest)
    {
        newest = default;
        if (file.Read(_heads, 0) < _heads.Length)
        {
            return Fail("file is too short");
        }

        ReadOnlySpan<byte> first = Head(0);
        ReadOnlySpan<byte> second = Head(_pageSize);
        newest = second.IsEmpty || (!first.IsEmpty && Transaction(first) > Transaction(second)) ? first : second;
        return !newest.IsEmpty || Fail("neither of its first pages is sound");
    }

    private ReadOnlySpan<byte> Head(int at)
    {
        ReadOnlySpan<byte> page = _heads.AsSpan(at, Header + MetaSize);
        bool sound = (PageFlags(page) & MetaPage) != 0 && BinaryPrimitives.ReadUInt32LittleEndian(page[Header..]) == Magic
            && BinaryPrimitives.ReadUInt32LittleEndian(page[(Header + 4)..]) == 1;
        return sound ? page[Header..] : default;
    }

    private static ulong Transaction(ReadOnlySpan<byte> meta) => BinaryPrimitives.ReadUInt64LittleEndian(meta[128..]);

    private bool IsCurrent()
    {
        string? damage = _damage;
        bool current = ReadHeads(out ReadOnlySpan<byte> newest) && newest.SequenceEqual(_meta);
        _damage = damage;
        return current;
    }

    private bool ReadNode(ulong number, int level, out ReadOnlySpan<byte> page)
    {
        while (_scratch.Count < level)
        {
            _scratch.Add(new byte[_pageSize]);
        }

        page = default;
        if (number > _lastPage)
        {
            return Fail($"page {number} is outside the file");
        }

        if (!file.TryRead((long)number * _pageSize, _pageSize, _scratch[level - 1], out page))
        {
            return Fail(file.Failure ?? $"page {number} is cut short");
        }

        int lower = BinaryPrimitives.ReadUInt16LittleEndian(page[12..]);
        bool sound = BinaryPrimitives.ReadUInt64LittleEndian(page) == number
            && (PageFlags(page) & KindMask) == (level == _depth ? LeafPage : BranchPage)
            && lower >= Header && lower <= page.Length && (level == _depth || Entries(page) > 0);
        return sound || Fail($"page {number} is damaged");
    }

    /// <summary>Where <paramref name="key"/> is, or would stand.</summary>
    private bool Position(ReadOnlySpan<byte> page, ReadOnlySpan<byte> key, bool isLeaf, out int index, out bool exact)
    {
        int low = isLeaf ? 0 : 1;
        int high = Entries(page);
        exact = false;
        while (low < high)
        {
            int middle = (low + high) / 2;
            int at = NodeAt(page, middle);
            if (at < 0)
            {
                index = 0;
                return false;
            }

            int order = key.SequenceCompareTo(page.Slice(at + 8, KeyLength(page, at)));
            if (order == 0)
            {
                exact = true;
                index = middle;
                return true;
            }

            if (order < 0)
            {
                high = middle;
            }
            else
            {
                low = middle + 1;
            }
        }

        index = low;
        return true;
    }

    private static int Entries(ReadOnlySpan<byte> page) => (BinaryPrimitives.ReadUInt16LittleEndian(page[12..]) - Header) / 2;

    private static int PageFlags(ReadOnlySpan<byte> page) => BinaryPrimitives.ReadUInt16LittleEndian(page[10..]);

    private static int KeyLength(ReadOnlySpan<byte> page, int at) => BinaryPrimitives.ReadUInt16LittleEndian(page[(at + 6)..]);

    /// <summary>The offset of a node whose key lies inside the page, else -1.</summary>
    private int NodeAt(ReadOnlySpan<byte> page, int index)
    {
        int at = BinaryPrimitives.ReadUInt16LittleEndian(page[(Header + (index * 2))..]);
        if (at >= Header && at + 8 <= page.Length && at + 8 + KeyLength(page, at) <= page.Length)
        {
            return at;
        }

        Fail("an item lies outside its page");
        return -1;
    }

    /// <summary>A branch node's page number: 48 bits, in the fields that a leaf has for lengths and flags.</summary>
    private ulong Child(ReadOnlySpan<byte> page, int index) =>
        NodeAt(page, index) is >= 0 and int at ? BinaryPrimitives.ReadUInt64LittleEndian(page[at..]) & 0xffff_ffff_ffff : NoPage;

    private bool TryValue(ReadOnlySpan<byte> page, int index, out ReadOnlySpan<byte> value)
    {
        value = default;
        int at = NodeAt(page, index);
        if (at < 0)
        {
            return false;
        }

        uint size = BinaryPrimitives.ReadUInt32LittleEndian(page[at..]);
        int flags = BinaryPrimitives.ReadUInt16LittleEndian(page[(at + 4)..]);
        int start = at + 8 + KeyLength(page, at);
        if (flags == 0 && size <= page.Length - start)
        {
            value = page.Slice(start, (int)size);
            return true;
        }

        if (flags != BigValue || start + 8 > page.Length)
        {
            return Fail("an item of unknown kind");
        }

        return TryBigValue(BinaryPrimitives.ReadUInt64LittleEndian(page[start..]), size, out value);
    }

    private bool TryBigValue(ulong number, uint size, out ReadOnlySpan<byte> value)
    {
        value = default;
        if (size > MaxItem || number > _lastPage || size + Header > (long)(_lastPage - number + 1) * _pageSize)
        {
            return Fail("a long value lies outside the file");
        }

        if (_value.Length < size + Header)
        {
            _value = new byte[size + Header];
        }

        if (!file.TryRead((long)number * _pageSize, (int)size + Header, _value, out ReadOnlySpan<byte> bytes))
        {
            return Fail(file.Failure ?? $"page {number} is cut short");
        }

        value = bytes[Header..];
        return (BinaryPrimitives.ReadUInt64LittleEndian(bytes) == number && (PageFlags(bytes) & KindMask) == OverflowPage)
            || Fail($"page {number} is damaged");
    }

    private bool Fail(string reason)
    {
        _damage ??= reason;
        return false;
    }
}
