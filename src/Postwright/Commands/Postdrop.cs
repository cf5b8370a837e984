using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Postwright.Commands.Shared;
using Postwright.Core.Configuration;
using Postwright.Core.Records;

namespace Postwright.Commands;

/// <summary>
/// postdrop(1): reads a message as records on standard input, checks them, makes a file of the maildrop directory, and wakes
/// pickup. It answers with its queue ID at once and with a status at the end. It may run set-gid: nothing that the caller
/// says (arguments, environment, input) is trusted, no command is run, and the file is the caller's own.
/// <para>End of input before the end record, a signal, or any failure leaves no file behind.</para>
/// </summary>
internal static class Postdrop
{
    /// <summary>What the caller's status means; sendmail knows the same bits.</summary>
    private const int StatusBadProtocol = 1;
    private const int StatusWriteError = 2;
    private const int StatusTooBig = 4;

    /// <summary>A maildrop that cannot be written to is tried again this often, then given up: a minute. One that is not there, at once.</summary>
    private const int CreateAttempts = 6;
    private static readonly TimeSpan CreatePause = TimeSpan.FromSeconds(10);

    /// <summary>Runs the command.</summary>
    public static int Run(string[] args) => RunAsync(args).GetAwaiter().GetResult();

    private static async Task<int> RunAsync(string[] args)
    {
        var messages = new CommandMessages("postdrop", Console.Error, fatalStatus: 1);
        var options = new GetOpt("postdrop", args, "c:rv", Console.Error);
        string? directory = null;
        while (options.Next() is { } option)
        {
            switch (option)
            {
                case 'c':
                    directory = options.Argument;
                    break;
                case 'r' or 'v':
                    break;
                default:
                    return messages.Fatal("usage: postdrop [-c config_dir] [-v]");
            }
        }

        if (ConfigurationChoice.Load(directory, messages, out int status) is not { } configuration)
        {
            return status;
        }

        uint uid = ProcessIdentity.RealUser;
        using IDisposable? log = CommandLog.Open(configuration, messages);
        if (await UserAccess.RefusedUserAsync(configuration, "authorized_submit_users", uid) is { } refused)
        {
            return messages.Fatal($"User {refused}({uid}) is not allowed to submit mail");
        }

        string queue = configuration.GetString("queue_directory");
        if (!Directory.Exists(queue))
        {
            return messages.Fatal($"chdir {queue}: No such file or directory");
        }

        _ = ProcessIdentity.SetMask(0x12); // 022
        return await SubmitAsync(configuration, queue, uid, messages);
    }

    private static async Task<int> SubmitAsync(MailConfiguration configuration, string queue, uint uid, CommandMessages messages)
    {
        long limit = configuration.GetLong("message_size_limit");
        MaildropFile? file = await CreateAsync(Path.Combine(queue, "maildrop"), limit, configuration.GetBool("enable_long_queue_ids"), messages);
        if (file is null)
        {
            return messages.Fatal("cannot create a file in the maildrop directory");
        }

        using (file)
        {
            using var signals = new RemoveOnSignal(file);
            using Stream output = Console.OpenStandardOutput();
            TryAnswer(output, $"protocol\0postdrop_protocol\0queue_id\0{file.QueueId}\0\0");
            var copy = new PostdropInput(Console.OpenStandardInput(), file, configuration.GetInt("line_length_limit"), uid, messages);
            switch (copy.Copy(TimeProvider.System.GetUtcNow()))
            {
                case PostdropOutcome.Cancelled:
                    return 0;
                case PostdropOutcome.Refused:
                    return 1;
                case PostdropOutcome.Incomplete:
                    TryAnswer(output, Status(StatusBadProtocol));
                    return StatusBadProtocol;
                default:
                    return Finish(file, queue, output, uid, messages);
            }
        }
    }

    private static int Finish(MaildropFile file, string queue, Stream output, uint uid, CommandMessages messages)
    {
        int error = file.Finish();
        int status = error switch { 0 => 0, PosixFile.FileTooBig => StatusTooBig, _ => StatusWriteError };
        if (error != 0)
        {
            messages.Warning($"uid={uid}: {PosixFile.Describe(error)}");
        }
        else
        {
            Wake(Path.Combine(queue, "public", "pickup"), messages);
        }

        TryAnswer(output, Status(status));
        return status;
    }

    private static string Status(int status) => string.Create(CultureInfo.InvariantCulture, $"status\0{status}\0reason\0\0\0");

    private static async Task<MaildropFile?> CreateAsync(string maildrop, long limit, bool longIds, CommandMessages messages)
    {
        for (int attempt = 0; attempt < CreateAttempts; attempt++)
        {
            DateTimeOffset now = TimeProvider.System.GetUtcNow();
            if (MaildropFile.TryCreate(maildrop, limit, now, longIds, out int error) is { } file)
            {
                return file;
            }

            if (error == PosixFile.Exists)
            {
                continue;
            }

            string name = string.Create(CultureInfo.InvariantCulture, $"{now.Ticks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond}.{Environment.ProcessId}");
            messages.Warning($"mail_queue_enter: create file maildrop/{name}: {PosixFile.Describe(error)}");
            if (error == PosixFile.NoEntry)
            {
                break;
            }

            await Task.Delay(CreatePause, TimeProvider.System);
        }

        return null;
    }

    /// <summary>Pickup looks every minute anyway: a failure only costs time. While the system is down there is nobody to wake.</summary>
    private static void Wake(string socketPath, CommandMessages messages)
    {
        if (!File.Exists(socketPath))
        {
            messages.Warning("unable to look up public/pickup: No such file or directory");
            return;
        }

        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
            socket.Connect(new UnixDomainSocketEndPoint(socketPath));
            socket.Send("W"u8);
        }
        catch (SocketException)
        {
            // Down, or busy with other wake-ups.
        }
    }

    private static void TryAnswer(Stream output, string attributes)
    {
        try
        {
            output.Write(Encoding.ASCII.GetBytes(attributes));
            output.Flush();
        }
        catch (IOException)
        {
            // The caller is gone; the message is not the worse for it.
        }
    }

    /// <summary>A signal ends the program, and its file. SIGTERM and SIGHUP that the caller ignores are ignored here too.</summary>
    private sealed class RemoveOnSignal : IDisposable
    {
        private readonly List<PosixSignalRegistration> _registrations = [];

        public RemoveOnSignal(MaildropFile file)
        {
            foreach (PosixSignal signal in (PosixSignal[])[PosixSignal.SIGINT, PosixSignal.SIGQUIT, PosixSignal.SIGTERM, PosixSignal.SIGHUP])
            {
                _registrations.Add(PosixSignalRegistration.Create(signal, context =>
                {
                    context.Cancel = true;
                    file.Dispose();
                    Environment.Exit(1);
                }));
            }
        }

        public void Dispose() => _registrations.ForEach(static one => one.Dispose());
    }
}
