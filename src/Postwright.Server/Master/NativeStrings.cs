using System.Runtime.InteropServices;
using System.Text;

namespace Postwright.Server.Master;

/// <summary>An argument or environment vector as execve wants it: NUL-ended strings and a null at the end, until disposed.</summary>
internal sealed unsafe class NativeStrings : IDisposable
{
    private readonly byte** _vector;
    private readonly int _count;

    public NativeStrings(IReadOnlyList<string> values)
    {
        _count = values.Count;
        _vector = (byte**)NativeMemory.AllocZeroed((nuint)(_count + 1), (nuint)sizeof(byte*));
        for (int i = 0; i < _count; i++)
        {
            int length = Encoding.UTF8.GetByteCount(values[i]);
            _vector[i] = (byte*)NativeMemory.AllocZeroed((nuint)length + 1);
            Encoding.UTF8.GetBytes(values[i], new Span<byte>(_vector[i], length));
        }
    }

    public byte** Vector => _vector;

    public void Dispose()
    {
        for (int i = 0; i < _count; i++)
        {
            NativeMemory.Free(_vector[i]);
        }

        NativeMemory.Free(_vector);
    }
}
