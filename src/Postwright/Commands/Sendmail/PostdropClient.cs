using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using Postwright.Commands.Shared;
using Postwright.Core.Configuration;
using Postwright.Core.Records;

namespace Postwright.Commands.Sendmail;

/// <summary>
/// A postdrop process that takes one message as records and answers with its status. Dispose without <see cref="Finish"/> ends
/// its input early, which makes it remove what it has.
/// </summary>
internal sealed class PostdropClient : IDisposable
{
    /// <summary>A queue ID with its attribute names is far below this.</summary>
    private const int LongestAnswer = 4096;

    private readonly Process _process;
    private readonly string _command;
    private readonly CommandMessages _messages;

    private PostdropClient(Process process, string command, string queueId, CommandMessages messages)
    {
        (_process, _command, _messages) = (process, command, messages);
        QueueId = queueId;
        Records = new RecordWriter(process.StandardInput.BaseStream);
    }

    /// <summary>What to write the message to. An <see cref="IOException"/> from it says that postdrop has ended.</summary>
    public RecordWriter Records { get; }

    /// <summary>The name of the maildrop file.</summary>
    public string QueueId { get; }

    /// <summary>Starts postdrop; null after a message that says why not, with the command as it was to be run.</summary>
    public static PostdropClient? Start(MailConfiguration configuration, CommandMessages messages, out string command)
    {
        ProcessStartInfo start = SiblingProgram.Find(configuration, "postdrop");
        start.RedirectStandardInput = true;
        start.RedirectStandardOutput = true;
        start.ArgumentList.Add("-r");
        SiblingProgram.AddConfiguration(start, configuration);
        string path = Path.Combine(configuration.GetString("command_directory"), "postdrop");
        command = path + " -r";

        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception failure)
        {
            messages.Fatal($"execvp {path}: {PosixFile.Describe(failure.NativeErrorCode)}");
            messages.Warning($"command \"{command}\" exited with status 1");
            return null;
        }

        if (ReadAttributes(process.StandardOutput.BaseStream).TryGetValue("queue_id", out string? queueId))
        {
            return new PostdropClient(process, command, queueId, messages);
        }

        using (process)
        {
            process.StandardInput.Close();
            process.WaitForExit();
            if (process.ExitCode != 0)
            {
                messages.Warning($"command \"{command}\" exited with status {process.ExitCode}");
            }
        }

        return null;
    }

    /// <summary>Ends the message and waits for its fate.</summary>
    /// <returns>Null if it is kept, else why not.</returns>
    public string? Finish()
    {
        try
        {
            Records.Flush();
        }
        catch (IOException)
        {
            // Its status tells more.
        }

        Dictionary<string, string> answer = ReadAttributes(_process.StandardOutput.BaseStream);
        TryClose();
        _process.WaitForExit();
        if (!answer.TryGetValue("status", out string? status))
        {
            if (_process.ExitCode != 0)
            {
                _messages.Warning($"command \"{_command}\" exited with status {_process.ExitCode}");
            }

            return "queue file write error";
        }

        return status switch
        {
            "0" => null,
            "1" => "internal protocol error",
            "4" => "message file too big",
            _ => "queue file write error",
        };
    }

    /// <inheritdoc />
    public void Dispose()
    {
        TryClose();
        _process.WaitForExit();
        _process.Dispose();
    }

    private void TryClose()
    {
        try
        {
            _process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It has ended already.
        }
    }

    /// <summary>Names and values, each ended by a NUL, up to an empty name.</summary>
    private static Dictionary<string, string> ReadAttributes(Stream stream)
    {
        var attributes = new Dictionary<string, string>(StringComparer.Ordinal);
        string? name = null;
        var word = new StringBuilder();
        for (int read = 0; read < LongestAnswer; read++)
        {
            int b = stream.ReadByte();
            if (b < 0)
            {
                return [];
            }

            if (b != 0)
            {
                word.Append((char)b);
                continue;
            }

            if (name is null && word.Length == 0)
            {
                return attributes;
            }

            if (name is null)
            {
                name = word.ToString();
            }
            else
            {
                attributes[name] = word.ToString();
                name = null;
            }

            word.Clear();
        }

        return [];
    }
}
