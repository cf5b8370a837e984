using System.Text;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Core.Tables;
using Postwright.Core.Tables.BerkeleyDb;
using Postwright.Core.Tables.Remote;

namespace Postwright.Commands;

// postmap(1), and what postalias(1) shares with it: building, updating, asking, deleting from and listing lookup tables.
// Exit status 0 for success or found, 1 for not found and for every error; errors are told by "fatal:" on standard error.

/// <summary><c>postmap</c> and <c>postalias</c>.</summary>
internal sealed class PostmapCommand
{
    private readonly PostmapOptions _options;
    private readonly MailLog _log;
    private readonly StreamWriter _out;
    private MailConfiguration? _configuration;
    private TableOpener? _opener;

    private PostmapCommand(string program, StreamWriter output)
    {
        _options = new PostmapOptions { Program = program };
        _log = new MailLog(new StandardError(program), "postfix/" + program, Environment.ProcessId);
        _out = output;
    }

    /// <summary>The command <c>postmap</c>.</summary>
    public static int Run(string[] arguments) => Run("postmap", arguments);

    /// <summary>Runs under either name.</summary>
    public static int Run(string program, string[] arguments)
    {
        using var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false), 1 << 16) { AutoFlush = false };
        var command = new PostmapCommand(program, output);
        try
        {
            int status = command.Execute(arguments);
            output.Flush();
            return status;
        }
        catch (PostmapFailure failure)
        {
            output.Flush();
            if (failure.Text is not null)
            {
                command._log.Fatal(failure.Text);
            }

            return 1;
        }
        catch (IOException)
        {
            // The reader of our output is gone.
            return 1;
        }
    }

    private int Execute(string[] arguments)
    {
        _options.Parse(arguments);
        _configuration = LoadConfiguration();
        _opener = new TableOpener(_log, TimeProvider.System, new SystemHost(TimeProvider.System), new SystemChance(), QueryUse(), remote: new RemoteTables(_configuration));
        string[] tables = [.. _options.Tables.Select(WithType)];
        if (_options.DeleteKey is { } deleteKey)
        {
            return Delete(tables, deleteKey);
        }

        if (_options.QueryKey is { } queryKey)
        {
            return queryKey == "-" ? QueryLines(tables) : QueryOne(tables, queryKey);
        }

        if (_options.List)
        {
            List(tables[0]);
            return 0;
        }

        var build = new PostmapBuild(_options, _configuration, _log);
        foreach (string table in tables)
        {
            build.Run(table);
        }

        return 0;
    }

    private MailConfiguration LoadConfiguration()
    {
        string directory = _options.ConfigDirectory ?? Environment.GetEnvironmentVariable("MAIL_CONFIG") ?? "/etc/postfix";
        string main = Path.Combine(directory, "main.cf");
        if (!FileStamp.TryGet(main, out _, out int errno))
        {
            throw new PostmapFailure($"open {main}: {Libc.ErrorText(errno)}");
        }

        MailConfiguration configuration = MailConfiguration.Load(directory);
        if (configuration.Errors.FirstOrDefault(error => error.IsFatal && error.File == main) is { } fatal)
        {
            throw new PostmapFailure(fatal.ToString());
        }

        return configuration;
    }

    /// <summary>A name without a type has the default one.</summary>
    private string WithType(string table)
    {
        string name = table.Contains(':') ? table : $"{_configuration!.GetString("default_database_type")}:{table}";
        if (_options.Verbose)
        {
            _log.Info($"table {name}");
        }

        return name;
    }

    private TableUse QueryUse() => (_options.Use & (TableUse.TryWithNul | TableUse.TryWithoutNul)) == 0
        ? _options.Use | TableUse.TryWithNul | TableUse.TryWithoutNul
        : _options.Use;

    private ILookupTable Open(string name)
    {
        ILookupTable table = _opener!.Open(name);
        return (table as IOpenCheck)?.CheckOpen() is { } reason ? throw new PostmapFailure(reason) : table;
    }

    private int QueryOne(string[] tables, string key)
    {
        foreach (string name in tables)
        {
            if (Query(Open(name), key) is { } value)
            {
                _out.Write(_options.Json ? Json(key, value) : value + "\n");
                return 0;
            }
        }

        return 1;
    }

    private int QueryLines(string[] tables)
    {
        var open = new ILookupTable?[tables.Length];
        bool found = false;
        foreach (string key in InputLines())
        {
            for (int i = 0; i < tables.Length; i++)
            {
                open[i] ??= Open(tables[i]);
                if (Query(open[i]!, key) is { } value)
                {
                    Print(key, value);
                    found = true;
                    break;
                }
            }
        }

        return found ? 0 : 1;
    }

    private string? Query(ILookupTable table, string key)
    {
        if (TableText.HasStrayBytes(key) && Utf8)
        {
            _log.Warning($"{table.Name}: non-UTF-8 key \"{key}\": malformed UTF-8 or invalid codepoint");
            return null;
        }

        ValueTask<LookupResult> lookup = table.LookupAsync(key, CancellationToken.None);
        LookupResult result = lookup.IsCompleted ? lookup.Result : lookup.AsTask().GetAwaiter().GetResult();
        if (result.Status == LookupStatus.TemporaryError)
        {
            throw new PostmapFailure($"table {table.Name}: query error: Application error");
        }

        if (result.Value is { Length: 0 })
        {
            _log.Warning($"table {table.Name}: key {key}: empty string result is not allowed");
            _log.Warning($"table {table.Name} should return NO RESULT in case of NOT FOUND");
        }

        return result.Value;
    }

    private int Delete(string[] tables, string key)
    {
        var open = new List<DbWriter>();
        bool any = false;
        try
        {
            foreach (string name in tables)
            {
                open.Add(OpenForDeletion(name));
            }

            foreach (string one in key == "-" ? InputLines() : [key])
            {
                for (int i = 0; i < tables.Length; i++)
                {
                    string? error = open[i].Delete(one, out bool deleted);
                    any |= error is null ? deleted : throw new PostmapFailure($"table {tables[i]}: {error}");
                }
            }

            for (int i = 0; i < tables.Length; i++)
            {
                if (open[i].Finish() is { } error)
                {
                    throw new PostmapFailure($"table {tables[i]}: {error}");
                }
            }
        }
        finally
        {
            open.ForEach(writer => writer.Dispose());
        }

        return any ? 0 : 1;
    }

    private DbWriter OpenForDeletion(string name)
    {
        (string type, string path) = Split(name);
        if (!DbWriter.Supports(type))
        {
            if (!TableOpener.SupportedTypes.Contains(type))
            {
                Open(name);
            }

            throw new PostmapFailure($"{name} map requires O_RDONLY access mode");
        }

        return DbWriter.Update(type, path, 0, create: false, _options.Use, _options.Duplicates, _log.Warning, out string? error)
            ?? throw new PostmapFailure(error);
    }

    private void List(string name)
    {
        if (Open(name) is not IListable table)
        {
            throw new PostmapFailure($"table {name}: sequence operation is not supported");
        }

        if (table.List((key, value) => PrintListed(name, key, value)) is { } error)
        {
            _log.Warning(error);
            throw new PostmapFailure($"table {name}: sequence error: Application error");
        }
    }

    private void PrintListed(string name, string key, string value)
    {
        if (key.Length == 0)
        {
            _log.Warning($"table {name}: empty lookup key value is not allowed");
        }
        else if (value.Length == 0)
        {
            _log.Warning($"table {name}: key {key}: empty string result is not allowed");
            _log.Warning($"table {name} should return NO RESULT in case of NOT FOUND");
        }

        Print(key, value);
    }

    private bool Utf8 => !_options.NoUtf8 && _configuration!.GetBool("smtputf8_enable");

    private void Print(string key, string value)
    {
        if (_options.Json)
        {
            _out.Write(Json(key, value));
            return;
        }

        WriteBytes(key);
        _out.Write(_options.IsAlias ? ":\t" : "\t");
        WriteBytes(value);
        _out.Write('\n');
    }

    /// <summary>Text with bytes that are not UTF-8 goes out as those bytes.</summary>
    private void WriteBytes(string text)
    {
        if (!TableText.HasStrayBytes(text))
        {
            _out.Write(text);
            return;
        }

        _out.Flush();
        _out.BaseStream.Write(TableText.Encode(text));
    }

    private static string Json(string key, string value) =>
        $"{{\"{System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(key)}\": "
        + $"\"{System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(value)}\"}}\n";

    internal static (string Type, string Path) Split(string name)
    {
        int colon = name.IndexOf(':', StringComparison.Ordinal);
        return (name[..colon], name[(colon + 1)..]);
    }

    /// <summary>The lines of standard input; a NUL ends a line's text, as in a C string.</summary>
    private static IEnumerable<string> InputLines()
    {
        using var input = new StreamReader(Console.OpenStandardInput(), Encoding.Latin1, false, 1 << 16);
        while (input.ReadLine() is { } line)
        {
            yield return Ascii.IsValid(line) ? line : TableText.Decode(Encoding.Latin1.GetBytes(line));
        }
    }

    /// <summary>Log lines of a command: its name and the text, on standard error.</summary>
    private sealed class StandardError(string program) : ILogSink
    {
        public void Write(LogLevel level, string tag, int number, string text) =>
            Console.Error.WriteLine($"{program}: {string.Concat(text.Select(c => char.IsBetween(c, '\uDC80', '\uDCFF') ? '?' : c))}");
    }
}
