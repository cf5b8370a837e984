using Postwright.Core.Tables.Indexed;

namespace Postwright.Core.Tables.BerkeleyDb;

// Hash files, versions 8 to 10 (libdb 4.x to 6.x): linear hashing with FNV-1, buckets of chained pages. Items on a page are
// keys and values in turn; an item's length is the distance to the item before it. Pages are searched from the first item
// to the last whether they are sorted or not.

/// <summary>Reads <c>hash:</c> files.</summary>
internal sealed class HashReader(IndexFile file) : IndexReader
{
    private const uint Magic = 0x061561;
    private const int Spares = 96;
    private const byte KeyData = 1;
    private const byte Duplicate = 2;
    private const byte OffPage = 3;

    /// <summary>libdb's test word, with its NUL, hashed: it tells whether the file uses the usual function.</summary>
    private static readonly uint TestHash = Hash("%$sniglet^&\0"u8);

    private readonly DbPages _pages = new(file);
    private uint _maxBucket;
    private uint _highMask;
    private uint _lowMask;
    private bool _grown;

    public override string? Damage => _pages.Damage;

    public override bool ReadMeta()
    {
        if (!_pages.ReadMeta(Magic, PageType.HashMeta, 8, 10))
        {
            return false;
        }

        ReadOnlySpan<byte> meta = _pages.Meta;
        _maxBucket = DbPages.UInt32(meta, 72);
        _highMask = DbPages.UInt32(meta, 76);
        _lowMask = DbPages.UInt32(meta, 80);
        _grown = DbPages.UInt32(meta, 84) == 0;
        return (DbPages.UInt32(meta, 92) == TestHash || _pages.Fail("unknown hash function"))
            && ((_maxBucket < _pages.LastPage && _highMask >= _maxBucket && (_highMask >> 1) == _lowMask && (_highMask & (_highMask + 1)) == 0)
                || _pages.Fail("bad number of buckets"));
    }

    public override IndexOutcome Find(ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value)
    {
        value = default;
        _pages.Mend();
        uint hash = Hash(key);
        uint bucket = hash & _highMask;
        if (bucket > _maxBucket)
        {
            bucket &= _lowMask;
        }

        uint number = PageOf(bucket);
        for (uint read = 0; number != 0; read++)
        {
            if (read > _pages.LastPage)
            {
                _pages.Fail("a chain of pages has no end");
                return IndexOutcome.Damaged;
            }

            if (!ReadBucketPage(number, bucket, first: read == 0, out ReadOnlySpan<byte> page))
            {
                return IndexOutcome.Damaged;
            }

            IndexOutcome outcome = FindOnPage(page, key, out value);
            if (outcome != IndexOutcome.NotFound)
            {
                return outcome;
            }

            number = DbPages.NextPage(page);
        }

        return IndexOutcome.NotFound;
    }

    public override void List(IndexEntry entry)
    {
        _pages.Mend();
        uint pagesRead = 0;
        for (uint bucket = 0; bucket <= _maxBucket; bucket++)
        {
            uint number = PageOf(bucket);
            for (bool first = true; number != 0; first = false)
            {
                if (pagesRead++ > _pages.LastPage || !ReadBucketPage(number, bucket, first, out ReadOnlySpan<byte> page))
                {
                    _pages.Fail("a chain of pages has no end");
                    return;
                }

                int entries = DbPages.Entries(page);
                for (int i = 0; i + 1 < entries; i += 2)
                {
                    if (!TryItem(page, i, out ReadOnlySpan<byte> key) || !TryItem(page, i + 1, out ReadOnlySpan<byte> value))
                    {
                        return;
                    }

                    entry(key, value);
                }

                number = DbPages.NextPage(page);
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
        return unchecked(bucket + DbPages.UInt32(_pages.Meta, Spares + (log * 4)));
    }

    private bool ReadBucketPage(uint number, uint bucket, bool first, out ReadOnlySpan<byte> page)
    {
        if (!_pages.ReadPage(number, out page))
        {
            return false;
        }

        if (DbPages.TypeOf(page) is PageType.Hash or PageType.HashUnsorted)
        {
            return true;
        }

        // The two buckets a file begins with may be holes; those that came by splitting were written.
        return DbPages.IsBlank(page)
            ? (first && (bucket < 2 || !_grown)) || _pages.Fail($"page {number} is empty")
            : _pages.Fail($"page {number} is damaged");
    }

    private IndexOutcome FindOnPage(ReadOnlySpan<byte> page, ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value)
    {
        value = default;
        int entries = DbPages.Entries(page);
        int first = DbPages.HeaderSize + (entries * 2);
        if (first > page.Length)
        {
            _pages.Fail("an item lies outside its page");
            return IndexOutcome.Damaged;
        }

        int end = page.Length;
        for (int i = 0; i + 1 < entries; i += 2)
        {
            int start = DbPages.UInt16(page, DbPages.HeaderSize + (i * 2));
            int length = end - start;
            end = DbPages.UInt16(page, DbPages.HeaderSize + (i * 2) + 2);
            if (start < first || length < 1)
            {
                _pages.Fail("an item lies outside its page");
                return IndexOutcome.Damaged;
            }

            bool equal;
            if (page[start] == KeyData)
            {
                equal = length == key.Length + 1 && page.Slice(start + 1, length - 1).SequenceEqual(key);
            }
            else if (page[start] == OffPage && length >= 12)
            {
                equal = false;
                if (DbPages.UInt32(page, start + 8) == key.Length)
                {
                    byte[]? big = _pages.ReadOverflow(DbPages.UInt32(page, start + 4), (uint)key.Length);
                    if (big is null)
                    {
                        return IndexOutcome.Damaged;
                    }

                    equal = key.SequenceEqual(big);
                }
            }
            else
            {
                _pages.Fail("a key of unknown kind");
                return IndexOutcome.Damaged;
            }

            if (equal)
            {
                return TryItem(page, i + 1, out value) ? IndexOutcome.Found : IndexOutcome.Damaged;
            }
        }

        return IndexOutcome.NotFound;
    }

    private bool TryRange(ReadOnlySpan<byte> page, int index, out int start, out int length)
    {
        start = DbPages.ItemOffset(page, index);
        int end = index == 0 ? page.Length : DbPages.ItemOffset(page, index - 1);
        length = end - start;
        return (start >= 0 && length >= 1) || _pages.Fail("an item lies outside its page");
    }

    private bool TryItem(ReadOnlySpan<byte> page, int index, out ReadOnlySpan<byte> bytes)
    {
        bytes = default;
        if (!TryRange(page, index, out int start, out int length))
        {
            return false;
        }

        ReadOnlySpan<byte> item = page.Slice(start, length);
        switch (item[0])
        {
            case KeyData:
                bytes = item[1..];
                return true;
            case OffPage when length >= 12:
                byte[]? big = _pages.ReadOverflow(DbPages.UInt32(item, 4), DbPages.UInt32(item, 8));
                bytes = big;
                return big is not null;
            case Duplicate when length >= 5 && DbPages.UInt16(item, 1) <= length - 5:
                // Several values for a key: the first one, as libdb's get does.
                bytes = item.Slice(3, DbPages.UInt16(item, 1));
                return true;
            default:
                return _pages.Fail("an item of unknown kind");
        }
    }
}
