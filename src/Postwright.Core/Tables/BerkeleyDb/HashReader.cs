namespace Postwright.Core.Tables.BerkeleyDb;

// Hash files, versions 8 to 10 (libdb 4.x to 6.x): linear hashing with FNV-1, buckets of chained pages. Items on a page are
// keys and values in turn; an item's length is the distance to the item before it. Pages are searched from the first item
// to the last whether they are sorted or not.

/// <summary>Reads <c>hash:</c> files.</summary>
internal sealed class HashReader(DbPages pages) : DbReader(pages)
{
    private const uint Magic = 0x061561;
    private const int Spares = 96;
    private const byte KeyData = 1;
    private const byte Duplicate = 2;
    private const byte OffPage = 3;

    /// <summary>libdb's test word, with its NUL, hashed: it tells whether the file uses the usual function.</summary>
    private static readonly uint TestHash = Hash("%$sniglet^&\0"u8);

    private byte[] _page = [];
    private uint _maxBucket;
    private uint _highMask;
    private uint _lowMask;
    private bool _grown;

    public override bool ReadMeta()
    {
        if (!Pages.ReadMeta(Magic, PageType.HashMeta, 8, 10))
        {
            return false;
        }

        ReadOnlySpan<byte> meta = Pages.Meta;
        _maxBucket = DbPages.UInt32(meta, 72);
        _highMask = DbPages.UInt32(meta, 76);
        _lowMask = DbPages.UInt32(meta, 80);
        _grown = DbPages.UInt32(meta, 84) == 0;
        if (_page.Length != Pages.PageSize)
        {
            _page = new byte[Pages.PageSize];
        }

        return (DbPages.UInt32(meta, 92) == TestHash || Pages.Fail("unknown hash function"))
            && ((_maxBucket < Pages.LastPage && _highMask >= _maxBucket && (_highMask >> 1) == _lowMask && (_highMask & (_highMask + 1)) == 0)
                || Pages.Fail("bad number of buckets"));
    }

    public override DbOutcome Find(ReadOnlySpan<byte> key, out byte[]? value)
    {
        value = null;
        uint hash = Hash(key);
        uint bucket = hash & _highMask;
        if (bucket > _maxBucket)
        {
            bucket &= _lowMask;
        }

        uint number = PageOf(bucket);
        for (uint read = 0; number != 0; read++)
        {
            if (read > Pages.LastPage)
            {
                Pages.Fail("a chain of pages has no end");
                return DbOutcome.Damaged;
            }

            if (!ReadBucketPage(number, bucket, first: read == 0))
            {
                return DbOutcome.Damaged;
            }

            DbOutcome outcome = FindOnPage(key, out value);
            if (outcome != DbOutcome.NotFound)
            {
                return outcome;
            }

            number = DbPages.NextPage(_page);
        }

        return DbOutcome.NotFound;
    }

    public override IEnumerable<KeyValuePair<byte[], byte[]>> Entries()
    {
        uint pagesRead = 0;
        for (uint bucket = 0; bucket <= _maxBucket; bucket++)
        {
            uint number = PageOf(bucket);
            for (bool first = true; number != 0; first = false)
            {
                if (pagesRead++ > Pages.LastPage || !ReadBucketPage(number, bucket, first))
                {
                    Pages.Fail("a chain of pages has no end");
                    yield break;
                }

                uint next = DbPages.NextPage(_page);
                int entries = DbPages.Entries(_page);
                for (int i = 0; i + 1 < entries; i += 2)
                {
                    if (Item(i) is not { } key || Item(i + 1) is not { } value)
                    {
                        yield break;
                    }

                    yield return new KeyValuePair<byte[], byte[]>(key, value);
                }

                number = next;
            }
        }
    }

    /// <summary>Fowler, Noll and Vo's function, as libdb has it since version 5 of the format.</summary>
    private static uint Hash(ReadOnlySpan<byte> key)
    {
        uint hash = 0;
        foreach (byte b in key)
        {
            hash = unchecked(hash * 16777619) ^ b;
        }

        return hash;
    }

    private uint PageOf(uint bucket)
    {
        int log = 32 - System.Numerics.BitOperations.LeadingZeroCount(bucket);
        return unchecked(bucket + DbPages.UInt32(Pages.Meta, Spares + (log * 4)));
    }

    private bool ReadBucketPage(uint number, uint bucket, bool first)
    {
        if (!Pages.ReadPage(number, _page))
        {
            return false;
        }

        if (DbPages.IsBlank(_page))
        {
            // The two buckets a file begins with may be holes; those that came by splitting were written.
            return (first && (bucket < 2 || !_grown)) || Pages.Fail($"page {number} is empty");
        }

        return DbPages.TypeOf(_page) is PageType.Hash or PageType.HashUnsorted || Pages.Fail($"page {number} is damaged");
    }

    private DbOutcome FindOnPage(ReadOnlySpan<byte> key, out byte[]? value)
    {
        value = null;
        int entries = DbPages.Entries(_page);
        for (int i = 0; i + 1 < entries; i += 2)
        {
            if (!TryRange(i, out int start, out int length))
            {
                return DbOutcome.Damaged;
            }

            bool equal;
            if (_page[start] == KeyData)
            {
                equal = _page.AsSpan(start + 1, length - 1).SequenceEqual(key);
            }
            else if (_page[start] == OffPage && length >= 12)
            {
                equal = false;
                if (DbPages.UInt32(_page, start + 8) == key.Length)
                {
                    byte[]? big = Pages.ReadOverflow(DbPages.UInt32(_page, start + 4), (uint)key.Length);
                    if (big is null)
                    {
                        return DbOutcome.Damaged;
                    }

                    equal = key.SequenceEqual(big);
                }
            }
            else
            {
                Pages.Fail("a key of unknown kind");
                return DbOutcome.Damaged;
            }

            if (equal)
            {
                value = Item(i + 1);
                return value is null ? DbOutcome.Damaged : DbOutcome.Found;
            }
        }

        return DbOutcome.NotFound;
    }

    private bool TryRange(int index, out int start, out int length)
    {
        start = Pages.ItemOffset(_page, index);
        int end = index == 0 ? Pages.PageSize : Pages.ItemOffset(_page, index - 1);
        length = end - start;
        return (start >= 0 && length >= 1) || Pages.Fail("an item lies outside its page");
    }

    private byte[]? Item(int index)
    {
        if (!TryRange(index, out int start, out int length))
        {
            return null;
        }

        ReadOnlySpan<byte> item = _page.AsSpan(start, length);
        switch (item[0])
        {
            case KeyData:
                return item[1..].ToArray();
            case OffPage when length >= 12:
                return Pages.ReadOverflow(DbPages.UInt32(item, 4), DbPages.UInt32(item, 8));
            case Duplicate when length >= 5 && DbPages.UInt16(item, 1) <= length - 5:
                // Several values for a key: the first one, as libdb's get does.
                return item.Slice(3, DbPages.UInt16(item, 1)).ToArray();
            default:
                Pages.Fail("an item of unknown kind");
                return null;
        }
    }
}
