using System.Text;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Indexed;

namespace Postwright.Commands.Postmap;

// postmap -q. Each key is put to the tables in order until one has it. For many keys, tables in indexed files are asked for
// bytes while they are held still: a lock, a look at the file and a string for each key would take most of the time. They are
// let go before waiting for more input, and whatever is not a plain answer is looked up again the ordinary way, which warns.

/// <summary>Looks keys up for postmap and postalias.</summary>
internal sealed class PostmapQuery(
    PostmapOptions options, MailConfiguration configuration, MailLog log, Func<string, ILookupTable> open, PostmapOutput output)
{
    private readonly bool _utf8 = options.ChecksUtf8(configuration);
    private string[] _names = [];
    private ILookupTable?[] _tables = [];
    private bool[] _held = [];
    private byte[] _key = new byte[256];
    private bool _found;

    /// <summary>Looks one key up and prints its value; true when it was found.</summary>
    public bool One(string[] tables, string key)
    {
        foreach (string name in tables)
        {
            if (Query(open(name), key) is { } value)
            {
                output.Write(options.Json ? PostmapJson.Entry(key, value) : value + "\n");
                return true;
            }
        }

        return false;
    }

    /// <summary>Looks up what standard input holds and prints keys with values; true when at least one was found.</summary>
    public bool Many(string[] tables)
    {
        _names = tables;
        _tables = new ILookupTable?[tables.Length];
        _held = new bool[tables.Length];
        using Stream input = Console.OpenStandardInput();
        try
        {
            if (options.HeaderKeys || options.BodyKeys)
            {
                PostmapKeys.Message(input, options, configuration, Ask, Release);
            }
            else
            {
                PostmapKeys.Lines(input, Ask, Release);
            }
        }
        finally
        {
            Release();
        }

        return _found;
    }

    private void Ask(ReadOnlySpan<byte> key)
    {
        bool plain = key.Length > 0 && !options.Json && !options.ValuesAreFiles && Ascii.IsValid(key);
        string? text = null;
        for (int i = 0; i < _tables.Length; i++)
        {
            ILookupTable table = _tables[i] ??= open(_names[i]);
            if (plain && table is IBulkTable bulk && (_held[i] || (_held[i] = bulk.Hold())))
            {
                LookupStatus status = bulk.Find(Prepare(key, bulk.Folds), out ReadOnlySpan<byte> value);
                if (status == LookupStatus.NotFound)
                {
                    continue;
                }

                if (status == LookupStatus.Found && value.Length > 0 && (!_utf8 || Ascii.IsValid(value)))
                {
                    Print(key, value);
                    return;
                }
            }

            Release();
            text ??= TableText.Decode(key);
            if (Query(table, text) is { } found)
            {
                if (options.Json)
                {
                    output.Write(PostmapJson.Entry(text, found));
                    _found = true;
                }
                else
                {
                    Print(key, TableText.Encode(found));
                }

                return;
            }
        }
    }

    private void Print(ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        _found = true;
        output.Write(key);
        output.Write(options.IsAlias ? ":\t"u8 : "\t"u8);
        output.Write(value);
        output.Write("\n"u8);
    }

    /// <summary>The key, folded, with a NUL behind it.</summary>
    private ReadOnlySpan<byte> Prepare(ReadOnlySpan<byte> key, bool fold)
    {
        if (_key.Length <= key.Length)
        {
            _key = new byte[key.Length * 2];
        }

        if (fold)
        {
            Ascii.ToLower(key, _key, out _);
        }
        else
        {
            key.CopyTo(_key);
        }

        _key[key.Length] = 0;
        return _key.AsSpan(0, key.Length + 1);
    }

    private void Release()
    {
        for (int i = 0; i < _held.Length; i++)
        {
            if (_held[i])
            {
                ((IBulkTable)_tables[i]!).Release();
                _held[i] = false;
            }
        }
    }

    private string? Query(ILookupTable table, string key)
    {
        string name = PostmapCommand.NameInMessages(table);
        if (_utf8 && TableText.HasStrayBytes(key))
        {
            log.Warning($"{name}: non-UTF-8 key \"{key}\": malformed UTF-8 or invalid codepoint");
            return null;
        }

        ValueTask<LookupResult> lookup = table.LookupAsync(key, CancellationToken.None);
        LookupResult result = lookup.IsCompleted ? lookup.Result : lookup.AsTask().GetAwaiter().GetResult();
        if (result.Status == LookupStatus.TemporaryError)
        {
            throw new PostmapFailure($"table {name}: query error: Application error");
        }

        if (_utf8 && result.Value is { } text && TableText.HasStrayBytes(text))
        {
            log.Warning($"{name}: key \"{key}\": non-UTF-8 value \"{text}\": malformed UTF-8 or invalid codepoint");
            throw new PostmapFailure($"table {name}: query error");
        }

        if (result.Value is { Length: 0 })
        {
            log.Warning($"table {table.Name}: key {key}: empty string result is not allowed");
            log.Warning($"table {table.Name} should return NO RESULT in case of NOT FOUND");
        }

        if (!options.ValuesAreFiles || result.Value is null)
        {
            return result.Value;
        }

        return FileValues.Decode(result.Value) ?? throw Malformed(log, name, key, result.Value);
    }

    /// <summary>Warns of a value that is not in base64, and makes the failure of a lookup that met one.</summary>
    public static PostmapFailure Malformed(MailLog log, string name, string key, string value)
    {
        log.Warning($"table {name}: key {key}: malformed BASE64 value: {value}");
        return new PostmapFailure($"table {name}: query error");
    }
}
