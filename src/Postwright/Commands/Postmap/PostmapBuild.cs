using Microsoft.Win32.SafeHandles;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Indexed;
using LogicalLine = Postwright.Core.Tables.LogicalLine;

namespace Postwright.Commands.Postmap;

// Making a table from its source. Run by root, the work is done as the owner of the source, so that the result belongs to
// that user and the power of root cannot be borrowed through the user's files; a new file gets the source's permissions for
// group and others. Options -o and -p turn these off. The source is opened once, and its owner is that of what was opened (with
// -i, of standard input): a path can name another file a moment later. It is read afterwards, line by line.

/// <summary>Builds and updates tables for postmap and postalias.</summary>
internal sealed class PostmapBuild(PostmapOptions options, MailConfiguration configuration, MailLog log)
{
    /// <summary>rw-r--r--.</summary>
    private const uint DefaultMode = 0x1a4;

    private readonly bool _utf8 = options.ChecksUtf8(configuration);
    private readonly bool _trailingDot = configuration.GetBool("access_trailing_dot");

    /// <summary>Builds <paramref name="table"/> from its source, or adds what standard input holds (<c>-i</c>).</summary>
    /// <exception cref="PostmapFailure">It cannot be done; the table is as it was.</exception>
    public void Run(string table)
    {
        (string type, string path) = PostmapCommand.Split(table);
        if (type == "proxy")
        {
            throw new PostmapFailure("can't create maps via the proxy service");
        }

        string source = options.Incremental ? "stdin" : path;
        using SafeFileHandle file = options.Incremental ? new SafeFileHandle(0, ownsHandle: false) : Open(path);
        bool isKnown = FileStamp.TryGet(file, out FileStamp stamp);
        try
        {
            uint mode = isKnown ? TakeIdentity(source, stamp) : DefaultMode;
            using Stream input = SystemFiles.Read(file);
            bool isSized = isKnown && stamp.IsRegular;
            using Stream content = isSized || type != "lmdb" ? input : Whole(input);
            Write(table, type, path, source, content, isSized ? (long)stamp.Size : content is MemoryStream ? content.Length : 0, mode);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new PostmapFailure($"read {source}: {failure.Message}");
        }
        finally
        {
            // Another table's source may belong to somebody else.
            if (!Identity.Restore())
            {
                Environment.FailFast("the identity that was taken does not go away");
            }
        }
    }

    private void Write(string table, string type, string path, string source, Stream content, long size, uint mode)
    {
        if (IndexKind.Of(type) is not { } kind)
        {
            throw new PostmapFailure(TableOpener.SupportedTypes.Contains(type)
                ? $"unsupported dictionary type: {type} does not support bulk-mode creation."
                : $"unsupported dictionary type: {type}. Is the postfix-{type} package installed?");
        }

        var work = new IndexWork(kind, path, size, mode, options.Use, options.Duplicates, log.Warning, TimeProvider.System);
        string? error;
        using IndexWriter? writer = options.Incremental ? IndexWriter.Update(work, create: true, out error) : IndexWriter.Build(work, out error);
        if (writer is null)
        {
            throw new PostmapFailure(error);
        }

        foreach (SourceEntry entry in Entries(source, content))
        {
            WarnOfTrailingDot(source, entry);
            string value = entry.Value;
            if (options.ValuesAreFiles)
            {
                if (FileValues.Encode(value, out string? problem) is not { } encoded)
                {
                    log.Warning($"{source}, line {entry.Line}: {problem}: skipping this entry");
                    continue;
                }

                value = encoded;
            }

            Check(writer.Put(entry.Key, value));
        }

        AddSignatures(writer);
        Check(writer.Finish() is { } unfinished ? $"table {table}: {unfinished}" : null);
    }

    private static void Check(string? error)
    {
        if (error is not null)
        {
            throw new PostmapFailure(error);
        }
    }

    private IEnumerable<SourceEntry> Entries(string source, Stream content)
    {
        IEnumerable<LogicalLine> lines = LogicalLines.Read(content, source, log.Warning, long.MaxValue);
        return options.IsAlias
            ? AliasSource.Read(source, lines, _utf8, log.Warning)
            : SourceEntries.Read(source, lines, "", _utf8, log.Warning);
    }

    /// <summary>What sendmail and NIS want to find in an alias database.</summary>
    private void AddSignatures(IndexWriter writer)
    {
        if (options.IsAlias)
        {
            Check(writer.PutVerbatim("@", "@"));
            Check(writer.PutVerbatim("YP_LAST_MODIFIED", TimeProvider.System.GetUtcNow().ToUnixTimeSeconds().ToString(System.Globalization.CultureInfo.InvariantCulture)));
            Check(writer.PutVerbatim("YP_MASTER_NAME", configuration.GetString("myhostname")));
        }
    }

    /// <summary>Points out <c>192.168.2.</c>, which access(5) never asks for unless access_trailing_dot is set.</summary>
    private void WarnOfTrailingDot(string source, SourceEntry entry)
    {
        string key = entry.Key;
        if (!options.IsAlias && !_trailingDot && key.Length > 1 && key[^1] == '.' && key[0] != '.'
            && !key.AsSpan().ContainsAnyExceptInRange('.', '9') && !key.Contains('/') && !key.Contains("..", StringComparison.Ordinal))
        {
            log.Warning($"{source}, line {entry.Line}: key \"{key}\" is never looked up: write \"{key[..^1]}\", or set access_trailing_dot = yes");
        }
    }

    /// <summary>All of a pipe's content, for a kind that must know how much comes.</summary>
    private static MemoryStream Whole(Stream input)
    {
        var content = new MemoryStream();
        input.CopyTo(content);
        content.Position = 0;
        return content;
    }

    private static SafeFileHandle Open(string path)
    {
        SafeFileHandle file = Libc.Open(path, Libc.ReadOnly, 0, out int errno) ?? throw new PostmapFailure($"open {path}: {Libc.ErrorText(errno)}");
        if (FileStamp.TryGet(file, out FileStamp stamp) && stamp.IsDirectory)
        {
            file.Dispose();
            throw new PostmapFailure($"read {path}: Is a directory");
        }

        return file;
    }

    /// <summary>Becomes the owner of the open source where that is asked for; the mode for a new file.</summary>
    private uint TakeIdentity(string source, FileStamp stamp)
    {
        bool other = stamp.Uid != Identity.EffectiveUser || stamp.Gid != Identity.EffectiveGroup;
        if (!options.KeepRoot && Identity.CanChange && other && !Identity.Assume(stamp.Uid, stamp.Gid))
        {
            throw new PostmapFailure($"cannot take the identity of the owner of {source}");
        }

        return options.DefaultMode || !stamp.IsRegular ? DefaultMode : DefaultMode & (stamp.Mode | 0x1c0);
    }
}
