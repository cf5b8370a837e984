using System.Text;

namespace Postwright.Server.Master;

/// <summary>
/// What master says to a child on a reload: read the configuration anew; here are new listening sockets and perhaps a new log
/// file; these sockets are to be closed. One text of lines, <c>reload</c>, <c>+key</c>, <c>log</c>, <c>-key</c>; descriptors
/// belong to the <c>+</c> and <c>log</c> lines in their order.
/// </summary>
/// <param name="Opened">Keys and descriptors of new sockets.</param>
/// <param name="Closed">Keys of sockets to close.</param>
/// <param name="Log">The descriptor of a newly opened maillog_file, or null.</param>
public sealed record ReloadMessage(IReadOnlyList<PassedDescriptor> Opened, IReadOnlyList<string> Closed, int? Log)
{
    private const string First = "reload";
    private const string LogLine = "log";

    /// <summary>Sends it to a program; false if that does not run, or the message is too long for one.</summary>
    public bool Send(Supervisor supervisor, string program)
    {
        StringBuilder text = new(First);
        List<int> descriptors = [];
        foreach (PassedDescriptor opened in Opened)
        {
            text.Append("\n+").Append(opened.Name);
            descriptors.Add(opened.Descriptor);
        }

        if (Log is int log)
        {
            text.Append('\n').Append(LogLine);
            descriptors.Add(log);
        }

        foreach (string key in Closed)
        {
            text.Append("\n-").Append(key);
        }

        return descriptors.Count <= MasterChannel.DescriptorLimit && text.Length <= MasterChannel.MessageLimit / 4
            && supervisor.Send(program, text.ToString(), [.. descriptors]);
    }

    /// <summary>Reads it; null if it is none, or lines and descriptors do not fit (the descriptors are closed then).</summary>
    public static ReloadMessage? Parse(string text, int[] descriptors)
    {
        string[] lines = text.Split('\n');
        List<PassedDescriptor> opened = [];
        List<string> closed = [];
        int? log = null;
        int used = 0;
        foreach (string line in lines.AsSpan(1))
        {
            switch (line)
            {
                case ['+', .. var key] when used < descriptors.Length:
                    opened.Add(new PassedDescriptor(key, descriptors[used++]));
                    break;
                case LogLine when used < descriptors.Length:
                    log = descriptors[used++];
                    break;
                case ['-', .. var key]:
                    closed.Add(key);
                    break;
                default:
                    used = int.MaxValue;
                    break;
            }
        }

        if (lines[0] == First && used == descriptors.Length)
        {
            return new ReloadMessage(opened, closed, log);
        }

        foreach (int descriptor in descriptors)
        {
            _ = MasterCalls.Close(descriptor);
        }

        return null;
    }
}
