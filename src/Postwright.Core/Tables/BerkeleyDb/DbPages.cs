using System.Buffers.Binary;
using Postwright.Core.Tables.Indexed;

namespace Postwright.Core.Tables.BerkeleyDb;

// Pages of a Berkeley DB file. Nothing in a page is believed: a page must carry its own number and an expected type, offsets
// must lie inside it, chains are bounded by the number of pages. Files with checksums or encryption, or of the other byte
// order, are none that Postfix makes, and are refused.

/// <summary>The kinds of pages that hash and btree files have (libdb's db_page.h).</summary>
internal enum PageType : byte
{
    None = 0,
    HashUnsorted = 2,
    BtreeInternal = 3,
    BtreeLeaf = 5,
    Overflow = 7,
    HashMeta = 8,
    BtreeMeta = 9,
    DuplicateLeaf = 12,
    Hash = 13,
}

/// <summary>Reads and checks the pages of one file. Not for use by two threads at once.</summary>
internal sealed class DbPages(IndexFile file)
{
    public const int HeaderSize = 26;
    private const int SmallestPage = 512;

    /// <summary>The longest key or value that is put together from overflow pages: more than any real table needs, little enough for memory.</summary>
    public const int MaxItem = 16 << 20;

    private byte[] _overflow = [];
    private byte[] _scratch = [];
    private byte[] _meta = [];

    public int PageSize { get; private set; }

    /// <summary>The highest page number, by the file's own word and its length.</summary>
    public uint LastPage { get; private set; }

    public ReadOnlySpan<byte> Meta => _meta;

    /// <summary>Why the file cannot be read, or null.</summary>
    public string? Damage { get; private set; }

    /// <summary>Reads the first page; false and <see cref="Damage"/> when this is no such file.</summary>
    public bool ReadMeta(uint magic, PageType type, uint oldestVersion, uint newestVersion)
    {
        Damage = null;
        file.Forget();

        // One read once the page size is known; a page size that has changed means another one.
        Span<byte> head = PageSize == 0 ? stackalloc byte[SmallestPage] : _meta;
        if (file.Read(head, 0) < head.Length)
        {
            PageSize = 0;
            return Fail("file is too short");
        }

        if (UInt32(head, 12) != magic)
        {
            return Fail(UInt32(head, 12) == BinaryPrimitives.ReverseEndianness(magic) ? "unsupported byte order" : "bad magic number");
        }

        uint size = UInt32(head, 20);
        if (UInt32(head, 16) < oldestVersion || UInt32(head, 16) > newestVersion)
        {
            return Fail($"unsupported version {UInt32(head, 16)}");
        }

        if (size is < 512 or > 65536 || (size & (size - 1)) != 0)
        {
            return Fail($"bad page size {size}");
        }

        if (head[24] != 0 || head[26] != 0 || head[25] != (byte)type || UInt32(head, 8) != 0)
        {
            return Fail("unsupported or damaged first page");
        }

        if (PageSize != (int)size)
        {
            PageSize = (int)size;
            _meta = new byte[PageSize];
            _scratch = new byte[PageSize];
            _overflow = new byte[PageSize];
            if (file.Read(_meta, 0) != PageSize)
            {
                return Fail("file is too short");
            }
        }

        long pages = file.Length / PageSize;
        LastPage = (uint)Math.Min(UInt32(_meta, 32), Math.Max(pages - 1, 0));
        return true;
    }

    /// <summary>Reads page <paramref name="number"/>, good until the next call; its type is the caller's to check.</summary>
    public bool ReadPage(uint number, out ReadOnlySpan<byte> page) => ReadPage(number, _scratch, out page);

    private bool ReadPage(uint number, byte[] scratch, out ReadOnlySpan<byte> page)
    {
        if (number == 0 || number > LastPage)
        {
            page = default;
            return Fail($"page {number} is outside the file");
        }

        if (!file.TryRead(number * (long)PageSize, PageSize, scratch, out page))
        {
            return Fail(file.Failure ?? $"page {number} is cut short");
        }

        return UInt32(page, 8) == number || IsBlank(page) || Fail($"page {number} is damaged");
    }

    /// <summary>True for a page that was never written: libdb leaves holes for empty buckets.</summary>
    public static bool IsBlank(ReadOnlySpan<byte> page) => !page.ContainsAnyExcept((byte)0);

    public static PageType TypeOf(ReadOnlySpan<byte> page) => (PageType)page[25];

    public static int Entries(ReadOnlySpan<byte> page) => UInt16(page, 20);

    public static uint NextPage(ReadOnlySpan<byte> page) => UInt32(page, 16);

    /// <summary>The offset of item <paramref name="index"/>, or -1 when it does not lie between the index and the page's end.</summary>
    public static int ItemOffset(ReadOnlySpan<byte> page, int index)
    {
        int entries = Entries(page);
        if (index >= entries || HeaderSize + (entries * 2) > page.Length)
        {
            return -1;
        }

        int offset = UInt16(page, HeaderSize + (index * 2));
        return offset >= HeaderSize + (entries * 2) && offset < page.Length ? offset : -1;
    }

    /// <summary>Puts an item together from overflow pages; null and <see cref="Damage"/> when the chain is not sound.</summary>
    public byte[]? ReadOverflow(uint first, uint total)
    {
        if (total > MaxItem)
        {
            Fail($"an item of {total} bytes is too long");
            return null;
        }

        byte[] item = new byte[Math.Min(total, (LastPage + 1L) * PageSize)];
        int done = 0;
        uint number = first;
        for (uint read = 0; number != 0; read++)
        {
            if (read > LastPage || !ReadPage(number, _overflow, out ReadOnlySpan<byte> page))
            {
                Fail("a chain of overflow pages has no end");
                return null;
            }

            int length = UInt16(page, 22);
            if (TypeOf(page) != PageType.Overflow || length == 0 || length > PageSize - HeaderSize || length > item.Length - done)
            {
                Fail($"overflow page {number} is damaged");
                return null;
            }

            page.Slice(HeaderSize, length).CopyTo(item.AsSpan(done));
            done += length;
            number = NextPage(page);
        }

        if (done != total)
        {
            Fail("a chain of overflow pages is too short");
            return null;
        }

        return item;
    }

    /// <summary>Begins anew after damage that one search met.</summary>
    public void Mend() => Damage = null;

    /// <summary>Notes the first damage; always false.</summary>
    public bool Fail(string reason)
    {
        Damage ??= reason;
        return false;
    }

    public static uint UInt32(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]);

    public static int UInt16(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]);
}
