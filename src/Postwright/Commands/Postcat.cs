using System.Globalization;
using System.Text;
using Postwright.Commands.Shared;
using Postwright.Core.Configuration;
using Postwright.Core.Control;
using Postwright.Core.Records;
using Postwright.Server.Master.Control;
using Postwright.Server.Queue;
using Postwright.Server.Queue.Spool;

namespace Postwright.Commands;

/// <summary>
/// postcat(1): shows queue files: named files, standard input, queue IDs (<c>-q</c>), or paths of files that Postfix would have, whose
/// last part is a queue ID, such as <c>/var/spool/postfix/deferred/ID</c>. The spool is asked while the system runs and
/// read while it is down.
/// </summary>
internal static class Postcat
{
    private const string Usage = "usage: postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] [-e (envelope records)] [-h (header text)] [-q (access queue)] [-v] [file(s)...]";

    /// <summary>Runs the command.</summary>
    public static int Run(string[] args) => RunAsync(args).GetAwaiter().GetResult();

    private static async Task<int> RunAsync(string[] args)
    {
        var messages = new CommandMessages("postcat", Console.Error, fatalStatus: 1);
        var options = new GetOpt("postcat", args, "bc:defhoqrs:v", Console.Error);
        var shown = new PostcatOptions();
        string? directory = null;
        bool searchQueue = false;
        while (options.Next() is { } option)
        {
            switch (option)
            {
                case 'c':
                    directory = options.Argument;
                    break;
                case 'q':
                    searchQueue = true;
                    break;
                case 's' when !options.Argument.All(char.IsAsciiDigit) || !long.TryParse(options.Argument, out _):
                    return messages.Fatal($"bad offset: {options.Argument}");
                case '?':
                    return messages.Fatal(Usage);
                default:
                    shown = shown.With(option, options.Argument);
                    break;
            }
        }

        if (ConfigurationChoice.Load(directory, messages, out int status) is not { } configuration)
        {
            return status;
        }

        using Stream output = Console.OpenStandardOutput();
        var printer = new QueueFilePrinter(output, shown.OrEverything(), messages);
        if (options.Operands.Count == 0)
        {
            return printer.Print(Console.OpenStandardInput(), "stdin");
        }

        foreach (string operand in options.Operands)
        {
            status = searchQueue ? await PrintQueuedAsync(configuration, operand, printer, messages) : await PrintFileAsync(configuration, operand, printer, messages);
            if (status != 0)
            {
                return status;
            }
        }

        return 0;
    }

    private static async Task<int> PrintFileAsync(MailConfiguration configuration, string path, QueueFilePrinter printer, CommandMessages messages)
    {
        try
        {
            using FileStream file = File.OpenRead(path);
            return printer.Print(file, path);
        }
        catch (Exception failure) when (failure is FileNotFoundException or DirectoryNotFoundException && QueueFileName.IsValid(Path.GetFileName(path)))
        {
            using MemoryStream? image = await LoadAsync(configuration, Path.GetFileName(path), static _ => { });
            return image is null ? messages.Fatal($"open {path}: No such file or directory") : printer.Print(image, path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            string why = failure switch
            {
                UnauthorizedAccessException => "Permission denied",
                FileNotFoundException or DirectoryNotFoundException => "No such file or directory",
                _ => failure.Message,
            };
            return messages.Fatal($"open {path}: {why}");
        }
    }

    private static async Task<int> PrintQueuedAsync(MailConfiguration configuration, string id, QueueFilePrinter printer, CommandMessages messages)
    {
        if (!QueueFileName.IsValid(id))
        {
            return messages.Fatal($"bad mail queue ID: {id}");
        }

        string maildrop = Path.Combine(configuration.GetString("queue_directory"), "maildrop", id);
        if (File.Exists(maildrop))
        {
            using FileStream file = File.OpenRead(maildrop);
            return printer.Print(file, $"maildrop/{id}");
        }

        string queue = "";
        using MemoryStream? image = await LoadAsync(configuration, id, found => queue = found);
        return image is null
            ? messages.Fatal($"open queue file {id}: No such file or directory")
            : printer.Print(image, $"{queue}/{Hashed(configuration, queue, id)}{id}");
    }

    /// <summary>hash_queue_names and hash_queue_depth: the directories that Postfix would have put the file into.</summary>
    private static string Hashed(MailConfiguration configuration, string queue, string id)
    {
        if (!configuration.GetList("hash_queue_names").Contains(queue) || id.Length < 5)
        {
            return "";
        }

        var directories = new StringBuilder();
        for (int i = 0; i < Math.Min(configuration.GetInt("hash_queue_depth"), 4); i++)
        {
            directories.Append(id[i]).Append('/');
        }

        return directories.ToString();
    }

    private static async Task<MemoryStream?> LoadAsync(MailConfiguration configuration, string id, Action<string> found)
    {
        if (ControlClient.TryConnect(configuration.GetString("queue_directory"), out ControlClient? client, out _) == ControlConnectStatus.Connected)
        {
            using (client)
            {
                return LoadFromRunning(client!, id, found);
            }
        }

        try
        {
            using SpoolReader? spool = DirectQueue.Read(configuration);
            using StoredMessage? message = spool?.Load(id);
            if (message is null)
            {
                return null;
            }

            found(ControlService.NameOf(message.Entry.Queue));
            var image = new MemoryStream();
            using var queueFile = new QueueFileImage(message);
            await queueFile.WriteAsync(new IntoStream(image), CancellationToken.None);
            image.Position = 0;
            return image;
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static MemoryStream? LoadFromRunning(ControlClient client, string id, Action<string> found)
    {
        var image = new MemoryStream();
        client.Send(ControlProtocol.Get, id);
        while (client.Reader.Read() == RecordReadStatus.Record)
        {
            switch (client.Reader.Type)
            {
                case ControlProtocol.Found:
                    found(ControlProtocol.Decode(client.Reader.Data.Span)[0]);
                    break;
                case ControlProtocol.Bytes:
                    image.Write(client.Reader.Data.Span);
                    break;
                default:
                    image.Position = 0;
                    return ControlProtocol.Decode(client.Reader.Data.Span) is [ControlProtocol.Done, ..] ? image : null;
            }
        }

        return null;
    }

    private sealed class IntoStream(Stream stream) : IControlAnswer
    {
        public ValueTask WriteAsync(byte type, IEnumerable<string> fields, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask WriteAsync(byte type, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => stream.WriteAsync(data, cancellationToken);
    }
}

/// <summary>What postcat shows.</summary>
/// <param name="Envelope">-e.</param>
/// <param name="Header">-h.</param>
/// <param name="Body">-b.</param>
/// <param name="Offsets">-o.</param>
/// <param name="Types">-d.</param>
/// <param name="Names">-f.</param>
/// <param name="Raw">-r.</param>
/// <param name="Verbose">-v.</param>
/// <param name="Start">-s.</param>
internal readonly record struct PostcatOptions(
    bool Envelope, bool Header, bool Body, bool Offsets, bool Types, bool Names, bool Raw, bool Verbose, long Start)
{
    /// <summary>With an option letter of postcat.</summary>
    public PostcatOptions With(char option, string argument) => option switch
    {
        'e' => this with { Envelope = true },
        'h' => this with { Header = true },
        'b' => this with { Body = true },
        'o' => this with { Offsets = true },
        'd' => this with { Types = true },
        'f' => this with { Names = true },
        'r' => this with { Raw = true },
        's' => this with { Start = long.Parse(argument, CultureInfo.InvariantCulture) },
        _ => this with { Verbose = true },
    };

    /// <summary>Everything, where no part is asked for.</summary>
    public PostcatOptions OrEverything() => Envelope || Header || Body ? this : this with { Envelope = true, Header = true, Body = true };
}
