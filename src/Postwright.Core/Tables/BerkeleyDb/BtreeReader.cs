namespace Postwright.Core.Tables.BerkeleyDb;

// Btree files, versions 8 to 10: keys in byte order. Every step down must lead to a page one level lower, which bounds the
// search whatever the file says; a walk over the leaves is bounded by the number of pages.

/// <summary>Reads <c>btree:</c> files.</summary>
internal sealed class BtreeReader(DbPages pages) : DbReader(pages)
{
    private const uint Magic = 0x053162;
    private const byte LeafLevel = 1;
    private const byte KeyData = 1;
    private const byte Overflow = 3;
    private const byte Deleted = 0x80;

    private byte[] _page = [];
    private uint _root;

    public override bool ReadMeta()
    {
        if (!Pages.ReadMeta(Magic, PageType.BtreeMeta, 8, 10))
        {
            return false;
        }

        _root = DbPages.UInt32(Pages.Meta, 88);
        if (_page.Length != Pages.PageSize)
        {
            _page = new byte[Pages.PageSize];
        }

        return true;
    }

    public override DbOutcome Find(ReadOnlySpan<byte> key, out byte[]? value)
    {
        value = null;
        if (!ReadNode(_root))
        {
            return DbOutcome.Damaged;
        }

        while (DbPages.TypeOf(_page) == PageType.BtreeInternal)
        {
            int child = ChildFor(key);
            if (child < 0 || !Descend(child))
            {
                return DbOutcome.Damaged;
            }
        }

        return FindOnLeaf(key, out value);
    }

    public override IEnumerable<KeyValuePair<byte[], byte[]>> Entries()
    {
        if (!ReadNode(_root))
        {
            yield break;
        }

        while (DbPages.TypeOf(_page) == PageType.BtreeInternal)
        {
            if (!Descend(0))
            {
                yield break;
            }
        }

        for (uint read = 0; ; read++)
        {
            uint next = DbPages.NextPage(_page);
            int entries = DbPages.Entries(_page);
            for (int i = 0; i + 1 < entries; i += 2)
            {
                int at = Pages.ItemOffset(_page, i + 1);
                if (at >= 0 && at + 3 <= Pages.PageSize && (_page[at + 2] & Deleted) != 0)
                {
                    continue;
                }

                if (Item(i) is not { } key || Item(i + 1) is not { } value)
                {
                    yield break;
                }

                yield return new KeyValuePair<byte[], byte[]>(key, value);
            }

            if (next == 0)
            {
                yield break;
            }

            if (read > Pages.LastPage || !ReadNode(next) || DbPages.TypeOf(_page) != PageType.BtreeLeaf)
            {
                Pages.Fail("a chain of pages has no end");
                yield break;
            }
        }
    }

    private bool ReadNode(uint number)
    {
        if (!Pages.ReadPage(number, _page))
        {
            return false;
        }

        return DbPages.TypeOf(_page) switch
        {
            PageType.BtreeLeaf => _page[24] == LeafLevel || Pages.Fail($"page {number} is damaged"),
            PageType.BtreeInternal => _page[24] > LeafLevel || Pages.Fail($"page {number} is damaged"),
            _ => Pages.Fail($"page {number} is damaged"),
        };
    }

    private bool Descend(int index)
    {
        byte level = _page[24];
        int at = Pages.ItemOffset(_page, index);
        if (at < 0 || at + 12 > Pages.PageSize)
        {
            return Pages.Fail("an item lies outside its page");
        }

        return ReadNode(DbPages.UInt32(_page, at + 4)) && (_page[24] == level - 1 || Pages.Fail("pages are not in order"));
    }

    /// <summary>The last child whose key is not above <paramref name="key"/>; the first child counts as below every key.</summary>
    private int ChildFor(ReadOnlySpan<byte> key)
    {
        int low = 0;
        int high = DbPages.Entries(_page);
        if (high == 0)
        {
            Pages.Fail("an inner page is empty");
            return -1;
        }

        while (high - low > 1)
        {
            int middle = (low + high) / 2;
            if (Compare(key, middle, keyAt: 12) is not { } order)
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

    private DbOutcome FindOnLeaf(ReadOnlySpan<byte> key, out byte[]? value)
    {
        value = null;
        int low = 0;
        int high = DbPages.Entries(_page) / 2;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (Compare(key, middle * 2, keyAt: 3) is not { } order)
            {
                return DbOutcome.Damaged;
            }

            if (order == 0)
            {
                return ValueAt(middle * 2, out value);
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

        return DbOutcome.NotFound;
    }

    private DbOutcome ValueAt(int index, out byte[]? value)
    {
        value = null;
        int at = Pages.ItemOffset(_page, index + 1);
        if (at >= 0 && at + 3 <= Pages.PageSize && (_page[at + 2] & Deleted) != 0)
        {
            return DbOutcome.NotFound;
        }

        value = Item(index + 1);
        return value is null ? DbOutcome.Damaged : DbOutcome.Found;
    }

    /// <summary>The order of <paramref name="key"/> and an item's key; null when the item is damaged.</summary>
    private int? Compare(ReadOnlySpan<byte> key, int index, int keyAt)
    {
        int at = Pages.ItemOffset(_page, index);
        if (at < 0 || at + keyAt > Pages.PageSize)
        {
            Pages.Fail("an item lies outside its page");
            return null;
        }

        int length = DbPages.UInt16(_page, at);
        switch (_page[at + 2] & ~Deleted)
        {
            case KeyData when at + keyAt + length <= Pages.PageSize:
                return key.SequenceCompareTo(_page.AsSpan(at + keyAt, length));
            case Overflow:
                // On an inner page the reference is the item's data; on a leaf it is the item.
                byte[]? big = OverflowAt(keyAt == 12 ? at + 12 : at);
                return big is null ? null : key.SequenceCompareTo(big);
            default:
                Pages.Fail("an item of unknown kind");
                return null;
        }
    }

    private byte[]? Item(int index)
    {
        int at = Pages.ItemOffset(_page, index);
        if (at < 0 || at + 3 > Pages.PageSize)
        {
            Pages.Fail("an item lies outside its page");
            return null;
        }

        int length = DbPages.UInt16(_page, at);
        switch (_page[at + 2] & ~Deleted)
        {
            case KeyData when at + 3 + length <= Pages.PageSize:
                return _page.AsSpan(at + 3, length).ToArray();
            case Overflow:
                return OverflowAt(at);
            default:
                Pages.Fail("an item of unknown kind");
                return null;
        }
    }

    private byte[]? OverflowAt(int at)
    {
        if (at + 12 > Pages.PageSize)
        {
            Pages.Fail("an item lies outside its page");
            return null;
        }

        return Pages.ReadOverflow(DbPages.UInt32(_page, at + 4), DbPages.UInt32(_page, at + 8));
    }
}
