using Postwright.Core.Tables.Indexed;

namespace Postwright.Core.Tables.BerkeleyDb;

// Btree files, versions 8 to 10: keys in byte order. Every step down must lead to a page one level lower, which bounds the
// search whatever the file says; a walk over the leaves is bounded by the number of pages.

/// <summary>Reads <c>btree:</c> files.</summary>
internal sealed class BtreeReader(IndexFile file) : IndexReader
{
    private const uint Magic = 0x053162;
    private const byte LeafLevel = 1;
    private const byte KeyData = 1;
    private const byte Overflow = 3;
    private const byte Deleted = 0x80;

    private readonly DbPages _pages = new(file);
    private uint _root;

    public override string? Damage => _pages.Damage;

    public override bool ReadMeta()
    {
        if (!_pages.ReadMeta(Magic, PageType.BtreeMeta, 8, 10))
        {
            return false;
        }

        _root = DbPages.UInt32(_pages.Meta, 88);
        return true;
    }

    public override IndexOutcome Find(ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value)
    {
        value = default;
        _pages.Mend();
        if (!ReadNode(_root, out ReadOnlySpan<byte> page))
        {
            return IndexOutcome.Damaged;
        }

        while (DbPages.TypeOf(page) == PageType.BtreeInternal)
        {
            int child = ChildFor(page, key);
            if (child < 0 || !Descend(ref page, child))
            {
                return IndexOutcome.Damaged;
            }
        }

        return FindOnLeaf(page, key, out value);
    }

    public override void List(IndexEntry entry)
    {
        _pages.Mend();
        if (!ReadNode(_root, out ReadOnlySpan<byte> page))
        {
            return;
        }

        while (DbPages.TypeOf(page) == PageType.BtreeInternal)
        {
            if (!Descend(ref page, 0))
            {
                return;
            }
        }

        for (uint read = 0; ListLeaf(page, entry) && DbPages.NextPage(page) is not 0 and uint next; read++)
        {
            if (read > _pages.LastPage || !ReadNode(next, out page) || DbPages.TypeOf(page) != PageType.BtreeLeaf)
            {
                _pages.Fail("a chain of pages has no end");
                return;
            }
        }
    }

    private bool ListLeaf(ReadOnlySpan<byte> page, IndexEntry entry)
    {
        int entries = DbPages.Entries(page);
        for (int i = 0; i + 1 < entries; i += 2)
        {
            if (IsDeleted(page, i + 1))
            {
                continue;
            }

            if (!TryItem(page, i, out ReadOnlySpan<byte> key) || !TryItem(page, i + 1, out ReadOnlySpan<byte> value))
            {
                return false;
            }

            entry(key, value);
        }

        return true;
    }

    private bool ReadNode(uint number, out ReadOnlySpan<byte> page)
    {
        if (!_pages.ReadPage(number, out page))
        {
            return false;
        }

        return DbPages.TypeOf(page) switch
        {
            PageType.BtreeLeaf => page[24] == LeafLevel || _pages.Fail($"page {number} is damaged"),
            PageType.BtreeInternal => page[24] > LeafLevel || _pages.Fail($"page {number} is damaged"),
            _ => _pages.Fail($"page {number} is damaged"),
        };
    }

    private bool Descend(ref ReadOnlySpan<byte> page, int index)
    {
        byte level = page[24];
        int at = DbPages.ItemOffset(page, index);
        if (at < 0 || at + 12 > page.Length)
        {
            return _pages.Fail("an item lies outside its page");
        }

        return ReadNode(DbPages.UInt32(page, at + 4), out page) && (page[24] == level - 1 || _pages.Fail("pages are not in order"));
    }

    /// <summary>The last child whose key is not above <paramref name="key"/>; the first child counts as below every key.</summary>
    private int ChildFor(ReadOnlySpan<byte> page, ReadOnlySpan<byte> key)
    {
        int low = 0;
        int high = DbPages.Entries(page);
        if (high == 0)
        {
            _pages.Fail("an inner page is empty");
            return -1;
        }

        while (high - low > 1)
        {
            int middle = (low + high) / 2;
            if (Compare(page, key, middle, keyAt: 12) is not { } order)
            {
                return -1;
            }

            if (order < 0)
            {
                high = middle;
            }
            else
            {
                low = middle;
            }
        }

        return low;
    }

    private IndexOutcome FindOnLeaf(ReadOnlySpan<byte> page, ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value)
    {
        value = default;
        int low = 0;
        int high = DbPages.Entries(page) / 2;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (Compare(page, key, middle * 2, keyAt: 3) is not { } order)
            {
                return IndexOutcome.Damaged;
            }

            if (order == 0)
            {
                return IsDeleted(page, (middle * 2) + 1) ? IndexOutcome.NotFound
                    : TryItem(page, (middle * 2) + 1, out value) ? IndexOutcome.Found : IndexOutcome.Damaged;
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

        return IndexOutcome.NotFound;
    }

    private static bool IsDeleted(ReadOnlySpan<byte> page, int index)
    {
        int at = DbPages.ItemOffset(page, index);
        return at >= 0 && at + 3 <= page.Length && (page[at + 2] & Deleted) != 0;
    }

    /// <summary>The order of <paramref name="key"/> and an item's key; null when the item is damaged.</summary>
    private int? Compare(ReadOnlySpan<byte> page, ReadOnlySpan<byte> key, int index, int keyAt)
    {
        int at = DbPages.ItemOffset(page, index);
        if (at < 0 || at + keyAt > page.Length)
        {
            _pages.Fail("an item lies outside its page");
            return null;
        }

        int length = DbPages.UInt16(page, at);
        switch (page[at + 2] & ~Deleted)
        {
            case KeyData when at + keyAt + length <= page.Length:
                return key.SequenceCompareTo(page.Slice(at + keyAt, length));
            case Overflow:
                // On an inner page the reference is the item's data; on a leaf it is the item.
                byte[]? big = OverflowAt(page, keyAt == 12 ? at + 12 : at);
                return big is null ? null : key.SequenceCompareTo(big);
            default:
                _pages.Fail("an item of unknown kind");
                return null;
        }
    }

    private bool TryItem(ReadOnlySpan<byte> page, int index, out ReadOnlySpan<byte> bytes)
    {
        bytes = default;
        int at = DbPages.ItemOffset(page, index);
        if (at < 0 || at + 3 > page.Length)
        {
            return _pages.Fail("an item lies outside its page");
        }

        int length = DbPages.UInt16(page, at);
        switch (page[at + 2] & ~Deleted)
        {
            case KeyData when at + 3 + length <= page.Length:
                bytes = page.Slice(at + 3, length);
                return true;
            case Overflow:
                byte[]? big = OverflowAt(page, at);
                bytes = big;
                return big is not null;
            default:
                return _pages.Fail("an item of unknown kind");
        }
    }

    private byte[]? OverflowAt(ReadOnlySpan<byte> page, int at)
    {
        if (at + 12 > page.Length)
        {
            _pages.Fail("an item lies outside its page");
            return null;
        }

        return _pages.ReadOverflow(DbPages.UInt32(page, at + 4), DbPages.UInt32(page, at + 8));
    }
}
