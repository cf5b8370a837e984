using Postwright.Commands.Shared;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;
using Postwright.Core.Posix;
using Postwright.Core.Seams;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Indexed;
using Postwright.Core.Tables.Remote;

namespace Postwright.Commands.Postmap;

// postmap(1), and what postalias(1) shares with it: building, updating, asking, deleting from and listing lookup tables.
// Exit status 0 for success or found, 1 for not found and for every error; errors are told by "fatal:" on standard error.

/// <summary><c>postmap</c> and <c>postalias</c>.</summary>
internal sealed class PostmapCommand
{
    private readonly PostmapOptions _options;
    private readonly MailLog _log;
    private readonly PostmapOutput _out;
    private MailConfiguration? _configuration;
    private TableOpener? _opener;

    private PostmapCommand(string program, PostmapOutput output)
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
        using var output = new PostmapOutput(Console.OpenStandardOutput());
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
        _options.Check(_log.Warning);
        _configuration = LoadConfiguration();
        _options.Apply(_configuration);
        _opener = new TableOpener(
            _log,
            TimeProvider.System,
            new SystemHost(TimeProvider.System),
            new SystemChance(),
            QueryUse(),
            _configuration.GetInt("line_length_limit"),
            remote: new RemoteTables(_configuration));
        string[] tables = [.. _options.Tables.Select(WithType)];
        if (_options.DeleteKey is { } deleteKey)
        {
            return Delete(tables, deleteKey);
        }

        if (_options.QueryKey is { } queryKey)
        {
            var query = new PostmapQuery(_options, _configuration, _log, Open, _out);
            return (queryKey == "-" ? query.Many(tables) : query.One(tables, queryKey)) ? 0 : 1;
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
        string directory = ConfigurationChoice.DirectoryOf(_options.ConfigDirectory);
        if (ConfigurationFile.WhyUnreadable(ConfigurationFile.In(directory, "main.cf")) is { } unreadable)
        {
            throw new PostmapFailure(unreadable);
        }

        MailConfiguration configuration = MailConfiguration.Load(directory);
        return CommonParameters.WhyUnusable(configuration, _log.Warning) is { } reason ? throw new PostmapFailure(reason) : configuration;
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

    /// <summary>A table's name as Postfix's messages have it: that of the file, for most that are indexed.</summary>
    public static string NameInMessages(ILookupTable table) => (table as IndexedTable)?.NameInMessages ?? table.Name;

    private int Delete(string[] tables, string key)
    {
        var open = new List<IndexWriter>();
        bool any = false;
        try
        {
            foreach (string name in tables)
            {
                if (OpenForDeletion(name) is { } writer)
                {
                    open.Add(writer);
                }
            }

            if (key == "-")
            {
                using Stream input = Console.OpenStandardInput();
                PostmapKeys.Lines(input, one => any |= DeleteOne(open, TableText.Decode(one)), static () => { });
            }
            else
            {
                any = DeleteOne(open, key);
            }

            foreach (IndexWriter writer in open)
            {
                if (writer.Finish() is { } error)
                {
                    throw new PostmapFailure($"table {writer.Name}: {error}");
                }
            }
        }
        finally
        {
            open.ForEach(writer => writer.Dispose());
        }

        return any ? 0 : 1;
    }

    private static bool DeleteOne(List<IndexWriter> tables, string key)
    {
        bool any = false;
        foreach (IndexWriter table in tables)
        {
            string? error = table.Delete(key, out bool deleted);
            any |= error is null ? deleted : throw new PostmapFailure(error);
        }

        return any;
    }

    /// <summary>Opens a table to remove entries; null for one that is always empty.</summary>
    private IndexWriter? OpenForDeletion(string name)
    {
        (string type, string path) = Split(name);
        if (IndexKind.Of(type) is not { } kind)
        {
            if (type == "internal")
            {
                return null;
            }

            if (!TableOpener.SupportedTypes.Contains(type))
            {
                Open(name);
            }

            throw new PostmapFailure($"{name} map requires O_RDONLY access mode");
        }

        var work = new IndexWork(kind, path, 0, 0x1a4, _options.Use, _options.Duplicates, _log.Warning, TimeProvider.System);
        return IndexWriter.Update(work, create: false, out string? error)
            ?? throw new PostmapFailure(error);
    }

    private void List(string name)
    {
        if (name.StartsWith("proxy:", StringComparison.Ordinal))
        {
            throw new PostmapFailure("can't sequence maps via the proxy service");
        }

        ILookupTable opened = Open(name);
        if (opened is not IListable { CanList: true } table)
        {
            throw new PostmapFailure($"table {NameInMessages(opened)}: sequence operation is not supported");
        }

        if (table.List((key, value) => PrintListed(opened, name, key, value)) is { } error)
        {
            if (error.Length > 0)
            {
                _log.Warning(error);
            }

            throw new PostmapFailure($"table {name}: sequence error: Application error");
        }
    }

    private void PrintListed(ILookupTable table, string name, string key, string value)
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

        if (_options.ValuesAreFiles)
        {
            if (FileValues.Decode(value) is not { } content)
            {
                PostmapQuery.Malformed(_log, NameInMessages(table), key, value);
                return;
            }

            value = content;
        }

        _out.Write(_options.Json ? PostmapJson.Entry(key, value) : $"{key}{(_options.IsAlias ? ":\t" : "\t")}{value}\n");
    }

    internal static (string Type, string Path) Split(string name)
    {
        int colon = name.IndexOf(':', StringComparison.Ordinal);
        return (name[..colon], name[(colon + 1)..]);
    }

    /// <summary>Log lines of a command: its name and the text, on standard error.</summary>
    private sealed class StandardError(string program) : ILogSink
    {
        public void Write(LogLevel level, string tag, int number, string text) =>
            Console.Error.WriteLine($"{program}: {string.Concat(text.Select(c => char.IsBetween(c, '\uDC80', '\uDCFF') ? '?' : c))}");
    }
}
